//! The sockets of ports. `[::]` is a port on both IPv6 and IPv4, with a socket for each, so that
//! addresses of IPv4 look as such; a system without one of the two has the other.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use super::bootstrap::Ports;
use super::error::LinkError;

/// Opens a port on UDP and, if it is free there, on TCP; where it is. `0.0.0.0` instead of `[::]`
/// says that there is no IPv6.
pub(super) async fn listen(address: SocketAddr) -> Result<(Ports, SocketAddr), LinkError> {
    let is_both = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let done = if is_both { on_both(address.port()).await } else { on_one(address).await };
        match done {
            // Any port that was free on IPv6 may be in use on IPv4, or by a connection of TCP.
            Err(LinkError::PortInUse(_)) if tries > 0 => {}
            Ok((ports, _)) if ports.tcp.len() < ports.udp.len() && tries > 0 => {}
            done => return done,
        }
    }
}

async fn on_one(address: SocketAddr) -> Result<(Ports, SocketAddr), LinkError> {
    let socket = bind(address).await?;
    let local = socket.local_addr().map_err(|e| bind_error(address, &e))?;
    let tcp = TcpListener::bind(local).await.ok();
    Ok((Ports { udp: vec![socket], tcp: tcp.into_iter().collect() }, local))
}

async fn on_both(port: u16) -> Result<(Ports, SocketAddr), LinkError> {
    let at = |any: IpAddr, port| SocketAddr::new(any, port);
    let (any6, any4) = (Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
    let six = udp_on_ipv6(port).and_then(|socket| Ok((socket.local_addr()?, socket)));
    let port = six.as_ref().map_or(port, |(local, _)| local.port());
    let four = UdpSocket::bind(at(any4, port)).await;
    for error in [six.as_ref().err(), four.as_ref().err()].into_iter().flatten() {
        if error.kind() == ErrorKind::AddrInUse {
            return Err(LinkError::PortInUse(port));
        }
    }
    let (mut ports, mut local) = (Ports::default(), at(any6, port));
    match (six, four) {
        (Err(_), Err(error)) => return Err(bind_error(at(any4, port), &error)),
        (Ok((_, six)), Ok(four)) => ports.udp.extend([six, four]),
        (Ok((_, six)), Err(_)) => ports.udp.push(six),
        (Err(_), Ok(four)) => {
            local = four.local_addr().map_err(|e| bind_error(at(any4, port), &e))?;
            ports.udp.push(four);
        }
    }
    if local.is_ipv6() {
        ports.tcp.extend(tcp_on_ipv6(local.port()).ok());
    }
    ports.tcp.extend(TcpListener::bind(at(any4, local.port())).await.ok());
    Ok((ports, local))
}

/// A socket for IPv6 alone, which leaves the port to IPv4 too. The standard library has none, so
/// that elsewhere there is only IPv4.
#[allow(unreachable_code, unused_variables, reason = "Linux returns before")]
fn udp_on_ipv6(port: u16) -> io::Result<UdpSocket> {
    #[cfg(target_os = "linux")]
    return UdpSocket::from_std(on_ipv6(rustix::net::SocketType::DGRAM, port)?.into());
    Err(ErrorKind::Unsupported.into())
}

#[allow(unreachable_code, unused_variables, reason = "Linux returns before")]
fn tcp_on_ipv6(port: u16) -> io::Result<TcpListener> {
    #[cfg(target_os = "linux")]
    {
        let socket = on_ipv6(rustix::net::SocketType::STREAM, port)?;
        rustix::net::listen(&socket, BACKLOG)?;
        return TcpListener::from_std(socket.into());
    }
    Err(ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn on_ipv6(kind: rustix::net::SocketType, port: u16) -> io::Result<std::os::fd::OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET6, kind, flags, None)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    if kind == SocketType::STREAM {
        // Connections of before do not keep the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
    Ok(socket)
}

/// Any port of ours that can send there.
pub(super) fn bind_any(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

pub(super) async fn bind(address: SocketAddr) -> Result<UdpSocket, LinkError> {
    UdpSocket::bind(address).await.map_err(|e| bind_error(address, &e))
}

pub(super) fn bind_error(address: SocketAddr, error: &io::Error) -> LinkError {
    match error.kind() {
        ErrorKind::AddrInUse => LinkError::PortInUse(address.port()),
        _ => LinkError::Bind { address, reason: error.to_string() },
    }
}

// limits

/// How often any port is tried until one is free on both.
const PORT_TRIES: usize = 8;
/// Connections that wait to be taken, as many as the standard library lets wait.
#[cfg(target_os = "linux")]
const BACKLOG: i32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// One port takes links of both families, and addresses of IPv4 look as such; a port that is in
    /// use on IPv4 alone is in use.
    #[tokio::test]
    async fn one_port_is_on_both_families() {
        let (ports, local) = listen((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        assert_eq!(local.ip(), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let [six, four] = &ports.udp[..] else { panic!("{ports:?}") };
        assert_eq!(ports.tcp.len(), 2, "{ports:?}");
        let to: [SocketAddr; 2] = [
            (Ipv6Addr::LOCALHOST, local.port()).into(),
            (Ipv4Addr::LOCALHOST, local.port()).into(),
        ];
        for (socket, to) in [(six, to[0]), (four, to[1])] {
            let sender = bind(SocketAddr::new(to.ip(), 0)).await.unwrap();
            sender.send_to(b"hello", to).await.unwrap();
            let (_, from) = socket.recv_from(&mut [0; 16]).await.unwrap();
            assert_eq!(from, sender.local_addr().unwrap());
            let stream = tokio::net::TcpStream::connect(to).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), to);
        }
        drop(ports);

        let taken = bind((Ipv4Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = listen((Ipv6Addr::UNSPECIFIED, port).into()).await.err();
        assert_eq!(refused, Some(LinkError::PortInUse(port)));
    }
}
