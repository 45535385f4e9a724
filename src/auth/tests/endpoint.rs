use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::config::JwksSource;

/// A web server that returns the same response to all requests and counts them.
pub(super) struct Endpoint {
    url: String,
    requests: Arc<AtomicUsize>,
    answer: watch::Sender<Answer>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Body(Vec<u8>),
    /// A body with this `content-encoding`.
    Encoded(&'static str, Vec<u8>),
    Redirect(String),
    Failure,
    /// No response until the test sets another answer.
    Silence,
}

impl Endpoint {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, current) = watch::channel(answer);
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(peer, current.clone()));
            }
        });
        Self { url, requests, answer }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn source(&self) -> JwksSource {
        JwksSource::Url(self.url.parse().unwrap())
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut peer: TcpStream, mut current: watch::Receiver<Answer>) {
    let mut head = [0; 2048];
    let _read = peer.read(&mut head).await;
    let answer = current.wait_for(|answer| !matches!(answer, Answer::Silence)).await;
    let Ok(answer) = answer.map(|answer| answer.clone()) else { return };
    let (status, header, body) = match answer {
        Answer::Body(body) => ("200 OK", String::new(), body),
        Answer::Encoded(encoding, body) => {
            ("200 OK", format!("content-encoding: {encoding}\r\n"), body)
        }
        Answer::Redirect(to) => ("302 Found", format!("location: {to}\r\n"), vec![]),
        Answer::Failure => ("503 Away", String::new(), vec![]),
        Answer::Silence => unreachable!("wait_for returns no silence"),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{header}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let _written = peer.write_all(&[head.into_bytes(), body].concat()).await;
}

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}
