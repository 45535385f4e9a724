//! A recursive name server for all tests of this process. Each test uses its own domains.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::thread;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// The largest response over UDP, in bytes; a longer one is truncated.
const MAX_UDP: usize = 512;

/// The data that the server has for a name.
#[derive(Debug, Clone)]
pub enum Zone {
    /// One record for each text.
    Txt(Vec<String>),
    /// Another name, which has the records.
    Alias(String),
    /// Queries get no response.
    Silent,
    /// Queries get SERVFAIL.
    Broken,
}

struct NameServer {
    address: SocketAddr,
    zones: Mutex<HashMap<String, Zone>>,
    /// The names in the queries that came over TCP.
    by_tcp: Mutex<Vec<String>>,
}

static SERVER: LazyLock<NameServer> = LazyLock::new(|| {
    let (udp, tcp) = bind();
    let address = tcp.local_addr().unwrap();
    thread::spawn(move || serve_udp(&udp));
    thread::spawn(move || {
        for connection in tcp.incoming().flatten() {
            thread::spawn(move || serve_tcp(connection));
        }
    });
    NameServer { address, zones: Mutex::default(), by_tcp: Mutex::default() }
});

/// Binds UDP and TCP to one port.
fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

/// The address of the server.
pub fn address() -> SocketAddr {
    SERVER.address
}

/// Sets the data that the server has for a name; with `None` the name does not exist.
pub fn publish(name: &str, zone: Option<Zone>) {
    let name = name.to_lowercase();
    match zone {
        Some(zone) => zones().insert(name, zone),
        None => zones().remove(&name),
    };
}

/// Whether the server received a query for a name over TCP.
pub fn received_tcp_query(name: &str) -> bool {
    SERVER.by_tcp.lock().unwrap().iter().any(|asked| asked == name)
}

/// A domain that no other test uses.
pub fn new_domain() -> String {
    format!("d{}.example", uuid::Uuid::new_v4().simple())
}

fn zones() -> MutexGuard<'static, HashMap<String, Zone>> {
    SERVER.zones.lock().unwrap()
}

fn serve_udp(socket: &UdpSocket) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(response) = respond(&buffer[..length]) else { continue };
        let encoded = response.to_vec().unwrap();
        let encoded = match encoded.len() > MAX_UDP {
            true => response.truncate().to_vec().unwrap(),
            false => encoded,
        };
        socket.send_to(&encoded, from).unwrap();
    }
}

fn serve_tcp(mut connection: TcpStream) {
    let mut length = [0; 2];
    while connection.read_exact(&mut length).is_ok() {
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if connection.read_exact(&mut question).is_err() {
            return;
        }
        let Some(response) = respond(&question) else { continue };
        let name = response.queries[0].name().to_ascii();
        SERVER.by_tcp.lock().unwrap().push(name.trim_end_matches('.').to_lowercase());
        let response = response.to_vec().unwrap();
        let length = u16::try_from(response.len()).unwrap().to_be_bytes();
        if connection.write_all(&[&length[..], &response].concat()).is_err() {
            return;
        }
    }
}

/// The response to a query; `None` if there is none.
fn respond(question: &[u8]) -> Option<Message> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let mut response = Message::response(question.metadata.id, question.metadata.op_code);
    response.metadata.recursion_desired = question.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.add_query(query.clone());
    let mut name = query.name().to_ascii().trim_end_matches('.').to_lowercase();
    let owner = |name: &str| Name::from_ascii(format!("{name}.")).unwrap();
    loop {
        let zone = zones().get(&name).cloned();
        match zone {
            None => {
                response.metadata.response_code = ResponseCode::NXDomain;
                return Some(response);
            }
            Some(Zone::Silent) => return None,
            Some(Zone::Broken) => {
                response.metadata.response_code = ResponseCode::ServFail;
                return Some(response);
            }
            Some(Zone::Alias(target)) => {
                let data = RData::CNAME(CNAME(owner(&target)));
                response.add_answer(Record::from_rdata(owner(&name), 60, data));
                name = target;
            }
            Some(Zone::Txt(texts)) => {
                let texts = texts.into_iter().filter(|_| query.query_type() == RecordType::TXT);
                for text in texts {
                    let data = RData::TXT(TXT::new(vec![text]));
                    response.add_answer(Record::from_rdata(owner(&name), 60, data));
                }
                return Some(response);
            }
        }
    }
}
