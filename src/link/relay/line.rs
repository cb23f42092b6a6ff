//! The way to a relay: UDP, or TCP where a network drops UDP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

use super::limits::{STREAM_OUTGOING_MAX, STREAM_READ};
use super::port::pad;
use super::wire::stream_length;
use crate::link::listen::bind_any;
use crate::link::{LinkError, Transport};

/// Messages to a relay and from it.
#[derive(Debug)]
pub(super) enum Line {
    Udp(Arc<UdpSocket>),
    Tcp { reader: OwnedReadHalf, buffer: BytesMut, out: mpsc::Sender<Bytes> },
}

/// Sends on a [`Line`].
#[derive(Clone, Debug)]
pub(super) enum LineSender {
    Udp(Arc<UdpSocket>),
    Tcp(mpsc::Sender<Bytes>),
}

impl Line {
    pub(super) async fn open(server: SocketAddr, transport: Transport) -> Result<Self, LinkError> {
        match transport {
            Transport::Udp => {
                let any = bind_any(server);
                let socket = UdpSocket::bind(any).await.map_err(|_| LinkError::NoPath)?;
                socket.connect(server).await.map_err(|_| LinkError::NoPath)?;
                Ok(Self::Udp(Arc::new(socket)))
            }
            Transport::Tcp => {
                let stream = TcpStream::connect(server).await.map_err(|_| LinkError::NoPath)?;
                let _ = stream.set_nodelay(true);
                let (reader, mut writer) = stream.into_split();
                let (out, mut outgoing) = mpsc::channel::<Bytes>(STREAM_OUTGOING_MAX);
                tokio::spawn(async move {
                    while let Some(message) = outgoing.recv().await {
                        if writer.write_all(&message).await.is_err() {
                            return;
                        }
                    }
                });
                Ok(Self::Tcp { reader, buffer: BytesMut::with_capacity(STREAM_READ), out })
            }
        }
    }

    pub(super) fn sender(&self) -> LineSender {
        match self {
            Self::Udp(socket) => LineSender::Udp(socket.clone()),
            Self::Tcp { out, .. } => LineSender::Tcp(out.clone()),
        }
    }

    /// Waits for the next message and says how much of `into` it fills. Nothing is lost when the
    /// future is dropped.
    pub(super) async fn recv(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        match self {
            Self::Udp(socket) => loop {
                match socket.recv(into).await {
                    Ok(length) => return Ok(length),
                    // A relay that is gone for good does not answer our requests either.
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                    Err(_) => return Err(LinkError::Lost),
                }
            },
            Self::Tcp { reader, buffer, .. } => loop {
                match stream_length(buffer).map_err(|_| LinkError::Unframed)? {
                    Some(length) if length <= buffer.len() => {
                        let message = buffer.split_to(length);
                        let length = length.min(into.len());
                        into[..length].copy_from_slice(&message[..length]);
                        return Ok(length);
                    }
                    _ => {
                        buffer.reserve(STREAM_READ);
                        if reader.read_buf(buffer).await.map_err(|_| LinkError::Lost)? == 0 {
                            return Err(LinkError::Lost);
                        }
                    }
                }
            },
        }
    }
}

impl LineSender {
    /// Sends a message; what the network loses is not an error.
    pub(super) async fn send(&self, message: &[u8]) {
        match self {
            Self::Udp(socket) => {
                let _ = socket.send(message).await;
            }
            Self::Tcp(_) => self.send_now(message),
        }
    }

    /// Sends a message if that needs no waiting.
    pub(super) fn send_now(&self, message: &[u8]) {
        match self {
            Self::Udp(socket) => {
                let _ = socket.try_send(message);
            }
            Self::Tcp(out) => {
                let mut message = message.to_vec();
                pad(&mut message);
                let _ = out.try_send(message.into());
            }
        }
    }
}
