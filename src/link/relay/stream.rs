//! A relay over TCP (RFC 8656 §3.1), for users whose network drops UDP.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::limits::{STREAM_IDLE, STREAM_OUTGOING_MAX, STREAM_READ, STREAM_UNUSED, STREAM_WRITE};
use super::port::{Back, RelayPort, pad};
use super::server::Client;
use super::wire::stream_length;
use crate::link::Transport;
use crate::link::stun::answer_binding;

impl RelayPort {
    /// Serves one client until its connection ends.
    pub async fn serve(&self, stream: TcpStream, remote: SocketAddr) {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let client = Client { remote, transport: Transport::Tcp };
        let Some(_place) = self.stream_place() else { return };
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let (out, outgoing) = mpsc::channel(STREAM_OUTGOING_MAX);
        tokio::select! {
            () = self.read(reader, client, out) => {}
            () = write(writer, outgoing) => {}
        }
        self.gone(client);
    }

    async fn read(
        &self,
        mut stream: impl AsyncReadExt + Unpin,
        client: Client,
        out: mpsc::Sender<Bytes>,
    ) {
        let mut buffer = BytesMut::with_capacity(STREAM_READ);
        loop {
            buffer.reserve(STREAM_READ);
            // Whoever holds an address refreshes it; others have nothing to wait for.
            let idle = if self.serves(client) { STREAM_IDLE } else { STREAM_UNUSED };
            match timeout(idle, stream.read_buf(&mut buffer)).await {
                Ok(Ok(length)) if length > 0 => {}
                _ => return,
            }
            let mut batch = self.batch();
            loop {
                match stream_length(&buffer) {
                    Ok(Some(length)) if length <= buffer.len() => {
                        let message = buffer.split_to(length);
                        let back = || Back::Tcp(out.clone());
                        let answer = answer_binding(&message, client.remote)
                            .or_else(|| batch.take(client, &message, back));
                        if let Some(mut answer) = answer {
                            pad(&mut answer);
                            let _ = out.try_send(answer.into());
                        }
                    }
                    Ok(_) => break,
                    Err(_) => return,
                }
            }
        }
    }
}

async fn write(mut stream: impl AsyncWriteExt + Unpin, mut outgoing: mpsc::Receiver<Bytes>) {
    while let Some(message) = outgoing.recv().await {
        if !matches!(timeout(STREAM_WRITE, stream.write_all(&message)).await, Ok(Ok(()))) {
            return;
        }
    }
}
