//! A capture of what passed, decrypted, for Wireshark: RELOAD with its framing header as UDP
//! packets of port 6084, SIP as UDP packets of port 5060.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError as PcapFileError};
use thiserror::Error;

/// Packets waiting for the disk; more are left out and counted.
const WAITING_MAX: usize = 4096;
/// The largest payload of one UDP packet over IPv4.
const PAYLOAD_MAX: usize = 65_507;
/// Remote ports below this may belong to a protocol that a dissector would take them for.
const PORTS_OF_OTHERS: u16 = 10_000;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A framed RELOAD message (RFC 6940 §6.6.2).
    Reload,
    /// A SIP message.
    Sip,
}

impl Protocol {
    const fn port(self) -> u16 {
        match self {
            Self::Reload => 6084,
            Self::Sip => 5060,
        }
    }
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From us.
    Sent,
    /// To us.
    Received,
}

/// Why there is no capture.
#[derive(Debug, Error)]
#[error("the capture {path} cannot be written: {reason}")]
pub struct PcapError {
    path: String,
    reason: String,
}

/// A capture file. Clones write to the same one; each packet is on disk soon after it is
/// recorded, so that a process that is killed leaves a readable file.
#[derive(Clone, Debug)]
pub struct Pcap {
    packets: SyncSender<Packet>,
    left_out: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Packet {
    at: Duration,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Bytes,
}

impl Pcap {
    /// Opens the file and starts its writer, which ends with the last clone. A capture that is
    /// there already is overwritten by the first packet, and kept if none comes.
    pub fn create(path: &Path) -> Result<Self, PcapError> {
        let error = |reason: String| PcapError { path: path.display().to_string(), reason };
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|e| error(e.to_string()))?;
        let (packets, inbox) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("pcap".to_owned());
        // Whoever records learns of a full disk by `left_out`.
        let write = move || drop(write_all(file, &inbox));
        thread.spawn(write).map_err(|e| error(e.to_string()))?;
        Ok(Self { packets, left_out: Arc::default() })
    }

    /// Adds a packet. Our side gets the protocol's port; the other keeps its own, so that links
    /// can be told apart, unless a dissector would take that for something else.
    pub fn record(
        &self,
        protocol: Protocol,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        payload: Bytes,
    ) {
        let local = SocketAddr::new(local.ip(), protocol.port());
        let port = if remote.port() < PORTS_OF_OTHERS { protocol.port() } else { remote.port() };
        let remote = SocketAddr::new(remote.ip(), port);
        let (source, destination) = match direction {
            Direction::Sent => (local, remote),
            Direction::Received => (remote, local),
        };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.packets.try_send(Packet { at, source, destination, payload }).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many packets are missing because the disk was too slow or full.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

/// Writes what comes until the last sender is gone.
fn write_all(file: File, inbox: &Receiver<Packet>) -> Result<(), PcapFileError> {
    let Ok(mut packet) = inbox.recv() else { return Ok(()) };
    file.set_len(0).map_err(PcapFileError::IoError)?;
    let mut output = Output::new(file)?;
    loop {
        output.write(&packet)?;
        match inbox.recv() {
            Ok(next) => packet = next,
            Err(_) => return Ok(()),
        }
    }
}

/// The file behind the encoder. Each packet reaches it in one write, so that a process that is
/// killed leaves whole packets.
struct Output {
    file: File,
    encoder: PcapWriter<Staging>,
    staging: Staging,
}

impl Output {
    fn new(file: File) -> Result<Self, PcapFileError> {
        let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
        let staging = Staging::default();
        let encoder = PcapWriter::with_header(staging.clone(), header)?;
        let mut output = Self { file, encoder, staging };
        output.commit()?;
        Ok(output)
    }

    fn write(&mut self, packet: &Packet) -> Result<(), PcapFileError> {
        let Some(bytes) = to_ip(packet) else { return Ok(()) };
        let length = bytes.len() as u32;
        self.encoder.write_packet(&PcapPacket::new(packet.at, length, &bytes))?;
        self.commit()
    }

    fn commit(&mut self) -> Result<(), PcapFileError> {
        let mut staged = self.staging.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.write_all(&staged).map_err(PcapFileError::IoError)?;
        staged.clear();
        Ok(())
    }
}

/// What has been encoded and not written yet.
#[derive(Clone, Default)]
struct Staging(Arc<Mutex<Vec<u8>>>);

impl Write for Staging {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The packet with IP and UDP headers.
fn to_ip(packet: &Packet) -> Option<Vec<u8>> {
    /// The usual time to live; nothing depends on it.
    const TTL: u8 = 64;
    if packet.payload.len() > PAYLOAD_MAX {
        return None;
    }
    let (source, destination) = (packet.source, packet.destination);
    let builder = match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), TTL),
        (from, to) => PacketBuilder::ipv6(to_v6(from).octets(), to_v6(to).octets(), TTL),
    };
    let builder = builder.udp(source.port(), destination.port());
    let mut bytes = Vec::with_capacity(builder.size(packet.payload.len()));
    builder.write(&mut bytes, &packet.payload).ok()?;
    Some(bytes)
}

fn to_v6(ip: IpAddr) -> std::net::Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcap::PcapReader;

    use super::*;

    /// The packets of a file, once there are `count`: source port, destination port, payload.
    fn read(path: &Path, count: usize) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let mut packets = Vec::new();
            // The file is empty until its first packet.
            let mut reader = PcapReader::new(File::open(path).unwrap()).ok();
            while let Some(packet) = reader.as_mut().and_then(PcapReader::next_packet) {
                let packet = packet.expect("whole packets only");
                let sliced = etherparse::SlicedPacket::from_ip(&packet.data).unwrap();
                let (from, to): (IpAddr, IpAddr) = match sliced.net.unwrap() {
                    etherparse::NetSlice::Ipv4(ip) => {
                        (ip.header().source_addr().into(), ip.header().destination_addr().into())
                    }
                    etherparse::NetSlice::Ipv6(ip) => {
                        (ip.header().source_addr().into(), ip.header().destination_addr().into())
                    }
                    other => panic!("{other:?}"),
                };
                let Some(etherparse::TransportSlice::Udp(udp)) = sliced.transport else {
                    panic!("not UDP")
                };
                let from = SocketAddr::new(from, udp.source_port());
                let to = SocketAddr::new(to, udp.destination_port());
                packets.push((from, to, udp.payload().to_vec()));
            }
            if packets.len() >= count {
                return packets;
            }
            assert!(std::time::Instant::now() < patience, "only {} packets", packets.len());
            std::thread::yield_now();
        }
    }

    #[test]
    fn packets_have_the_ports_of_their_protocol_and_true_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        let pcap = Pcap::create(&path).unwrap();
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let payload = Bytes::from_static(b"x");
        let (v4, v6) = (addr("192.0.2.1:7000"), addr("[2001:db8::1]:7000"));
        for (protocol, direction, local, remote) in [
            (Protocol::Reload, Direction::Sent, v4, addr("192.0.2.2:40000")),
            (Protocol::Reload, Direction::Received, v6, addr("[2001:db8::2]:5060")),
            (Protocol::Sip, Direction::Received, v4, addr("192.0.2.2:40000")),
        ] {
            pcap.record(protocol, direction, local, remote, payload.clone());
        }
        let expected = [
            ("192.0.2.1:6084", "192.0.2.2:40000"),
            ("[2001:db8::2]:6084", "[2001:db8::1]:6084"),
            ("192.0.2.2:40000", "192.0.2.1:5060"),
        ];
        let expected = expected.map(|(from, to)| (addr(from), addr(to), b"x".to_vec()));
        assert_eq!(read(&path, 3), expected);
    }

    #[test]
    fn an_older_capture_stays_until_there_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        std::fs::write(&path, b"an older capture, longer than the new one will be".repeat(9))
            .unwrap();
        let (packets, inbox) = sync_channel(WAITING_MAX);
        let open = || File::options().write(true).open(&path).unwrap();
        drop(packets);
        write_all(open(), &inbox).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"an older capture"));
        let pcap = Pcap::create(&path).unwrap();
        let addr = "192.0.2.1:7000".parse().unwrap();
        pcap.record(Protocol::Sip, Direction::Sent, addr, addr, Bytes::from_static(b"x"));
        assert_eq!(read_when_new(&path).len(), 1);
    }

    /// The packets of a file once it is a capture.
    fn read_when_new(path: &Path) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        while std::fs::read(path).unwrap().starts_with(b"an older") {
            std::thread::yield_now();
        }
        read(path, 1)
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let error = Pcap::create(Path::new("/nowhere/a.pcap")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/a.pcap"));
    }
}
