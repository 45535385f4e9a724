use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::JwksSource;

/// A web server that answers everybody the same and counts them.
pub(super) struct Endpoint {
    url: String,
    requests: Arc<AtomicUsize>,
    answer: watch::Sender<Answer>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Body(Vec<u8>),
    Redirect(String),
    Failure,
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
            while let Ok((mut peer, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = current.borrow().clone();
                tokio::spawn(async move {
                    let mut head = [0; 2048];
                    let _read = peer.read(&mut head).await;
                    let (status, location, body) = match answer {
                        Answer::Body(body) => ("200 OK", String::new(), body),
                        Answer::Redirect(to) => {
                            ("302 Found", format!("location: {to}\r\n"), vec![])
                        }
                        Answer::Failure => ("503 Away", String::new(), vec![]),
                        Answer::Silence => return std::future::pending::<()>().await,
                    };
                    let head = format!(
                        "HTTP/1.1 {status}\r\n{location}connection: close\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    let _written = peer.write_all(&[head.into_bytes(), body].concat()).await;
                });
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
