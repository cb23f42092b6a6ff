//! The next datagram of a socket, in memory of its own size: most sockets are silent most of the
//! time, and a peer has one for each link.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::UdpSocket;

use super::transport::limits::DATAGRAM_MAX;

/// Waits for a datagram of a socket that is not connected, as an ICMP message wakes nobody here;
/// and says where it comes from. Nothing is lost when the future is dropped.
pub(super) async fn receive(socket: &UdpSocket) -> io::Result<(Bytes, SocketAddr)> {
    loop {
        // Who sends fast does not keep other tasks from running.
        tokio::task::consume_budget().await;
        socket.readable().await?;
        match read(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

fn read(socket: &UdpSocket) -> io::Result<(Bytes, SocketAddr)> {
    let mut buffer = [0; DATAGRAM_MAX];
    let (length, source) = socket.try_recv_from(&mut buffer)?;
    Ok((Bytes::copy_from_slice(&buffer[..length]), source))
}
