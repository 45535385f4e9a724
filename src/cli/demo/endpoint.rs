//! The endpoint that the webhooks of the demo send to. It accepts every request to `/accepted` and
//! rejects every other request.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::error::{Error, Result};

/// The most bytes that are read of a request.
const MAX_REQUEST_BYTES: u64 = 64 * 1024;

/// Starts the endpoint and returns its address. It serves until the process ends or it cannot
/// accept a connection.
pub(super) async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::internal)?;
    let address = listener.local_addr().map_err(Error::internal)?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream).await {
                            tracing::debug!(%error, "the endpoint of the demo lost a connection");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the endpoint of the demo accepts no connections");
                    return;
                }
            }
        }
    });
    Ok(address)
}

async fn answer(stream: TcpStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST_BYTES));
    let mut path = String::new();
    let mut length = 0;
    for number in 0.. {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        if number == 0 {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    tokio::io::copy(&mut (&mut reader).take(length), &mut tokio::io::sink()).await?;
    let status = if path == "/accepted" { "204 No Content" } else { "503 Service Unavailable" };
    let response = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    writer.write_all(response.as_bytes()).await
}
