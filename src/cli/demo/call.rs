//! Calls to the server of the demo over the network, as any client makes them: Connect with JSON.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::domain::ApiKeySecret;
use crate::error::{Error, Result};

/// Calls `method` with this key and returns the response.
pub(super) async fn call(
    server: SocketAddr,
    key: &ApiKeySecret,
    method: &str,
    message: Value,
) -> Result<Value> {
    let body = message.to_string();
    let request = format!(
        "POST /{method} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\
         authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}",
        key = *key.expose(),
        length = body.len(),
    );
    let response = exchange(server, request.as_bytes()).await.map_err(Error::internal)?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    if !head.starts_with("HTTP/1.1 200") {
        let status = head.lines().next().unwrap_or_default();
        return Err(Error::internal(format!("{method}: {status}: {body}")));
    }
    serde_json::from_str(body).map_err(Error::internal)
}

async fn exchange(server: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}
