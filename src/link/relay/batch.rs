//! Many datagrams with one call of the system, where the system has that (`quinn-udp`): receiving
//! several at once, and sending several of one size to one place.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::limits::{RECEIVED_AT_ONCE, SENT_AT_ONCE};

/// A socket that receives and sends in batches.
#[derive(Debug)]
pub struct BatchSocket {
    socket: Arc<UdpSocket>,
    state: UdpSocketState,
}

impl BatchSocket {
    /// Nothing else may receive from the socket.
    ///
    /// # Errors
    /// The system refuses an option.
    pub fn new(socket: Arc<UdpSocket>) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&*socket))?;
        let_fragment(&socket);
        Ok(Self { socket, state })
    }

    /// Waits until there is something to receive.
    ///
    /// # Errors
    /// The runtime has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Hands over what is there, some datagrams at most, and says whether there may be more.
    pub fn receive(&self, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        BUFFERS.with_borrow_mut(|buffers| {
            let mut metas = [RecvMeta::default(); RECEIVED_AT_ONCE];
            let mut slices = buffers.slices();
            let received = self.socket.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(&*self.socket), &mut slices, &mut metas)
            });
            let count = match received {
                Ok(count) => count,
                // Errors are ICMP messages about single remote addresses.
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            };
            for (slice, meta) in slices.iter().zip(&metas).take(count) {
                let source = SocketAddr::new(meta.addr.ip(), meta.addr.port());
                for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                    take(source, datagram);
                }
            }
            true
        })
    }

    /// Sends at once; what the system has no room for is lost, as anywhere on the way.
    fn send(&self, destination: SocketAddr, contents: &[u8], segment_size: usize) {
        let segment_size = Some(segment_size).filter(|size| *size < contents.len());
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        let _ = self.socket.try_io(Interest::WRITABLE, || {
            self.state.try_send(UdpSockRef::from(&*self.socket), &transmit)
        });
    }
}

/// Datagrams on their way out: those that follow each other to one place in one size go with one
/// call. Dropping it sends the rest.
#[derive(Default)]
pub struct Outbox {
    run: Option<Run>,
    buffer: Vec<u8>,
}

/// Datagrams for one place. All have `size` bytes but the last, which may have fewer.
struct Run {
    socket: Arc<BatchSocket>,
    to: SocketAddr,
    size: usize,
    count: usize,
    is_full: bool,
}

impl Outbox {
    /// Sends what `write` puts into the buffer.
    pub fn push(
        &mut self,
        socket: &Arc<BatchSocket>,
        to: SocketAddr,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.buffer.len();
        write(&mut self.buffer);
        let length = self.buffer.len() - start;
        if let Some(run) = &mut self.run {
            let is_next = !run.is_full
                && Arc::ptr_eq(&run.socket, socket)
                && run.to == to
                && length <= run.size
                && length > 0
                && run.count < socket.state.max_gso_segments()
                && start + length <= SENT_AT_ONCE;
            if is_next {
                run.count += 1;
                run.is_full = length < run.size;
                return;
            }
            run.socket.send(run.to, &self.buffer[..start], run.size);
            self.buffer.drain(..start);
        }
        let socket = socket.clone();
        self.run = Some(Run { socket, to, size: length, count: 1, is_full: length == 0 });
    }

    /// Sends all that waits.
    pub fn flush(&mut self) {
        if let Some(run) = self.run.take() {
            run.socket.send(run.to, &self.buffer, run.size);
        }
        self.buffer.clear();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Room for what is received at once, for all sockets that a thread reads.
struct Buffers(Vec<u8>);

impl Buffers {
    /// A buffer holds several datagrams if the system has put them together.
    const EACH: usize = 1 << 16;

    fn slices(&mut self) -> [IoSliceMut<'_>; RECEIVED_AT_ONCE] {
        if self.0.is_empty() {
            // Zeroed by the system, not here: what is never written to costs nothing.
            self.0 = vec![0; RECEIVED_AT_ONCE * Self::EACH];
        }
        let mut rest = self.0.chunks_exact_mut(Self::EACH);
        std::array::from_fn(|_| IoSliceMut::new(rest.next().unwrap_or_default()))
    }
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Buffers(Vec::new())) };
}

/// `quinn-udp` forbids IP to cut what is longer than the path takes; a SIP message may be.
fn let_fragment(_socket: &UdpSocket) {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
        let _ = set_ip_mtu_discover(_socket, Ipv4PathMtuDiscovery::WANT);
    }
}
