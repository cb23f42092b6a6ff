//! What the system tells of its network interfaces, so that nobody has to ask it all the time.

use tokio::net::UdpSocket;

/// News of addresses and interfaces that come or go, where the system has any.
pub(super) struct Interfaces(Option<UdpSocket>);

impl Interfaces {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(socket) = socket() {
            return Self(Some(socket));
        }
        Self(None)
    }

    /// Whether [`Self::changed`] will tell.
    pub(super) fn are_told(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for a change; for ever, if there is nobody to tell.
    pub(super) async fn changed(&self) {
        let Some(socket) = &self.0 else { return std::future::pending().await };
        // What has changed is looked up afterwards; here it is only taken away.
        let mut message = [0; MESSAGE];
        let _ = socket.recv(&mut message).await;
        while socket.try_recv(&mut message).is_ok() {}
    }
}

/// A socket on which the kernel tells of links and of addresses (rtnetlink). The runtime waits for
/// it as for any other with datagrams.
#[cfg(target_os = "linux")]
fn socket() -> std::io::Result<UdpSocket> {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    UdpSocket::from_std(socket.into())
}

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
#[cfg(target_os = "linux")]
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Of a message, what is read; the rest is dropped.
const MESSAGE: usize = 256;
