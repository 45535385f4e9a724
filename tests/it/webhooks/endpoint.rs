//! A local server that receives events and returns planned responses.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// The response to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The status, further header lines, and the body.
    Status(u16, &'static str, &'static str),
    /// No response until [`Endpoint::let_go`], then status 200.
    Hang,
    /// The head without the body; then the connection ends.
    HeadOnly(u16),
}

/// A request that arrived.
#[derive(Debug)]
pub struct Request {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

pub struct Endpoint {
    pub url: String,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    /// The response to requests without a planned response.
    otherwise: Arc<Mutex<Reply>>,
    requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    hold: watch::Sender<bool>,
    load: Arc<Load>,
}

/// How many requests have no response now, and the highest number so far.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Endpoint {
    /// Starts a server that accepts every event.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let (sender, receiver) = mpsc::unbounded_channel();
        let replies = Arc::<Mutex<VecDeque<Reply>>>::default();
        let otherwise = Arc::new(Mutex::new(Reply::Status(200, "", "")));
        let hold = watch::channel(true).0;
        let load = Arc::<Load>::default();
        let counted = Arc::clone(&load);
        let state = (Arc::clone(&replies), Arc::clone(&otherwise), hold.subscribe());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (replies, otherwise, hold) = state.clone();
                let (sender, load) = (sender.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A connection that the client ends early does not fail the test.
                    let _ = serve(stream, sender, (replies, otherwise, hold), &load).await;
                });
            }
        });
        Self { url, replies, otherwise, requests: tokio::sync::Mutex::new(receiver), hold, load }
    }

    /// Plans the next responses, in this order.
    pub fn plan(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    /// Sets the response to requests without a planned response.
    pub fn otherwise(&self, reply: Reply) {
        *self.otherwise.lock().unwrap() = reply;
    }

    /// Responds to the requests that hang, and to later ones, with status 200.
    pub fn let_go(&self) {
        self.hold.send_replace(false);
    }

    /// The highest number of requests without a response at a time.
    pub fn most_at_once(&self) -> usize {
        self.load.most.load(Ordering::SeqCst)
    }

    /// The next request, which must arrive.
    pub async fn next(&self) -> Request {
        let next =
            timeout(Duration::from_secs(30), async { self.requests.lock().await.recv().await });
        next.await.expect("a request arrives").expect("the server runs")
    }

    /// The next request whose event is of this type.
    pub async fn next_of(&self, kind: &str) -> Request {
        loop {
            let request = self.next().await;
            if request.event_type() == kind {
                return request;
            }
        }
    }

    /// The requests that have arrived and that no call has returned yet.
    pub async fn arrived(&self) -> Vec<Request> {
        let mut requests = self.requests.lock().await;
        std::iter::from_fn(|| requests.try_recv().ok()).collect()
    }
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn event_type(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// Whether the request has a signature by this secret. The implementation by the authors of
    /// Standard Webhooks verifies it.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        verifier.verify(&self.body, &self.headers).is_ok()
    }
}

type State = (Arc<Mutex<VecDeque<Reply>>>, Arc<Mutex<Reply>>, watch::Receiver<bool>);

async fn serve(
    stream: TcpStream,
    requests: mpsc::UnboundedSender<Request>,
    (replies, otherwise, mut hold): State,
    load: &Load,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let Some(path) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(()) };
    assert!(line.starts_with("POST "), "{line}");
    let mut headers = HeaderMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let length = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let reply = replies.lock().unwrap().pop_front();
    let reply = reply.unwrap_or_else(|| otherwise.lock().unwrap().clone());
    load.most.fetch_max(load.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    // The test may have ended.
    let _ = requests.send(Request { path, headers, body });
    let text = match reply {
        Reply::Status(status, lines, body) => {
            let length = body.len();
            format!(
                "HTTP/1.1 {status} X\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        }
        Reply::HeadOnly(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 9\r\n\r\n"),
        Reply::Hang => {
            let _ = hold.wait_for(|held| !held).await;
            "HTTP/1.1 200 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
        }
    };
    load.now.fetch_sub(1, Ordering::SeqCst);
    stream.get_mut().write_all(text.as_bytes()).await
}
