//! `guestlist healthcheck`, for container images without curl.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::Failure;
use crate::certificates::AnyCertificate;
use crate::config::{Config, reachable};

/// For each step: connecting, writing the request, reading the response.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Requests `/readyz` from the server that runs with these settings.
pub(super) fn healthcheck(config: &Config) -> Result<(), Failure> {
    let (scheme, listen) = match (&config.tls.client_ca_file, config.metrics_listen) {
        (None, _) => (config.tls.scheme(), config.listen),
        (Some(_), Some(metrics_listen)) => ("http", metrics_listen),
        (Some(_), None) => {
            return Err(Failure::NotReady(
                "the server requires client certificates, and this command has none; set \
                 metrics_listen, which this command uses then"
                    .into(),
            ));
        }
    };
    let address = reachable(listen);
    let url = format!("{scheme}://{address}/readyz");
    let status = request(address, scheme == "https")
        .map_err(|e| Failure::NotReady(format!("no response from {url}: {e}")))?;
    if status.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err(Failure::NotReady(format!("{url} returned: {}", status.trim_end())))
    }
}

/// Returns the status line of the response.
fn request(address: SocketAddr, over_tls: bool) -> std::io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    if over_tls {
        let tls = tls_client(address).map_err(std::io::Error::other)?;
        request_over(StreamOwned::new(tls, stream), address)
    } else {
        request_over(stream, address)
    }
}

fn request_over(mut stream: impl Read + Write, address: SocketAddr) -> std::io::Result<String> {
    // Written in one call, so that a server that responds early has read the whole request.
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(4096)).read_line(&mut line)?;
    Ok(line)
}

fn tls_client(address: SocketAddr) -> Result<ClientConnection, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        // The certificate is for the public name, not for this address, and its authority may
        // be unknown here. The request contains nothing secret.
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::from(address.ip()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn check(listen: SocketAddr) -> Result<(), Failure> {
        healthcheck(&Config { listen, ..Config::reference() })
    }

    fn answered(head: &'static str) -> Result<(), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                peer.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            assert!(request.starts_with(b"GET /readyz HTTP/1.1\r\n"));
            peer.write_all(head.as_bytes()).unwrap();
        });
        let outcome = check(address);
        server.join().unwrap();
        outcome
    }

    #[test]
    fn only_status_200_counts_as_ready() {
        assert!(answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok());
        assert!(answered("HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
        assert!(answered("").is_err());
    }

    #[test]
    fn a_closed_port_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(check(address).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn an_unspecified_address_is_checked_on_loopback() {
        for (listen, address) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), address.parse().unwrap());
        }
    }
}
