//! A client that can write any bytes to its connection, frame by frame.

use std::collections::HashSet;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of HTTP/2 frames (RFC 9113 §6) that these tests need.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// SETTINGS_INITIAL_WINDOW_SIZE
pub const INITIAL_WINDOW: u16 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = len[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block without compression (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                len @ 0..127 => block.push(len as u8),
                len => {
                    block.push(127);
                    let mut rest = len - 127;
                    while rest >= 128 {
                        block.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The head of a call over gRPC; with a key if there is one.
pub fn call(path: &str, key: Option<&str>, more: &[(&str, &str)]) -> Vec<u8> {
    let authorization = key.map(|key| format!("Bearer {key}"));
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.extend(authorization.as_deref().map(|value| ("authorization", value)));
    fields.extend(more);
    block(&fields)
}

/// The head of a GET request for a page.
pub fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "x")])
}

/// The ids of the first streams of a client.
pub fn ids(count: usize) -> impl Iterator<Item = u32> + Clone {
    (1..).step_by(2).take(count)
}

pub struct Peer(TcpStream);

/// The results of streams.
#[derive(Debug, Default)]
pub struct Streams {
    /// Streams whose response is complete.
    pub answered: HashSet<u32>,
    /// Streams that the server reset.
    pub reset: HashSet<u32>,
    /// Whether the connection ended before the streams did.
    pub closed: bool,
}

impl Streams {
    pub fn ended(&self) -> usize {
        self.answered.union(&self.reset).count()
    }
}

impl Peer {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// A peer that has sent the HTTP/2 preface, with these settings.
    pub async fn http2(addr: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::connect(addr).await;
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        peer.send(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &payload)].concat()).await;
        peer
    }

    /// Sends these bytes; returns whether the connection still accepted them.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Sends these bytes again and again, without reading, until the server closes the connection,
    /// but at most `max_sends` times; returns how often it sent them.
    pub async fn flood(&mut self, bytes: &[u8], max_sends: usize) -> usize {
        for sent in 0..max_sends {
            if !self.send(bytes).await {
                return sent;
            }
        }
        max_sends
    }

    /// Reads until the server ends the connection, with or without an error.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        self.0.read_to_end(&mut received).await.ok();
        received
    }

    /// Reads, and responds to pings like an ordinary client, until this many streams have ended, or
    /// the connection has ended.
    pub async fn until_ended(&mut self, streams: usize) -> Streams {
        let mut results = Streams::default();
        while results.ended() < streams && self.next_of(&mut results).await {}
        results
    }

    /// The same for one frame; returns whether there was one.
    pub async fn next_of(&mut self, results: &mut Streams) -> bool {
        let Ok((kind, flags, stream, payload)) = self.read().await else {
            results.closed = true;
            return false;
        };
        match kind {
            kind::PING if flags & ACK == 0 => {
                self.send(&frame(kind::PING, ACK, 0, &payload)).await;
            }
            kind::SETTINGS if flags & ACK == 0 => {
                self.send(&frame(kind::SETTINGS, ACK, 0, &[])).await;
            }
            kind::RST_STREAM => {
                results.reset.insert(stream);
            }
            kind::DATA | kind::HEADERS if flags & END_STREAM != 0 => {
                results.answered.insert(stream);
            }
            _ => {}
        }
        true
    }

    async fn read(&mut self) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.0.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok((head[3], head[4], stream, payload))
    }
}
