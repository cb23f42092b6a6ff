//! A registrar for one user on this machine: it asks for the password, believes SHA-256 alone, and
//! passes all else between that user and another phone, as an old proxy does.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ring::digest::{SHA256, digest};

/// The registrar; it ends when this is dropped.
pub struct Registrar {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const NONCE: &str = "f84f1cec41e6cbe5aea9c8e88d359";

impl Registrar {
    /// A registrar for `alice`, who has this password; `other` is whom she talks to.
    pub fn start(password: &'static str, other: SocketAddr) -> Self {
        let socket = UdpSocket::bind((own_address(), 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (log, stop) = (Arc::clone(&heard), is_over.clone());
        let thread = std::thread::spawn(move || {
            let mut alice = None;
            let mut buffer = [0; 65_535];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.trim().is_empty() {
                    continue;
                }
                if from != other {
                    alice = Some(from);
                }
                if text.starts_with("REGISTER") {
                    socket.send_to(register(&text, password).as_bytes(), from).expect("sent");
                } else {
                    let to = if from == other { alice } else { Some(other) };
                    let passed = recorded(&text, address);
                    if let Some(to) = to {
                        socket.send_to(passed.as_bytes(), to).expect("sent");
                    }
                }
                log.lock().expect("no panic").push(text);
            }
        });
        Self { address, heard, is_over, thread: Some(thread) }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it has heard that begins so.
    pub fn heard(&self, start: &str) -> Vec<String> {
        let heard = self.heard.lock().expect("no panic");
        heard.iter().filter(|text| text.starts_with(start)).cloned().collect()
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// This machine's own address in its network: baresip takes no calls at the loopback. A machine
/// without a network gets one that leads nowhere.
pub fn own_address() -> IpAddr {
    routed().unwrap_or_else(|| {
        // Another test may have been faster; what can't be made shows in the end.
        for command in [
            "link add chordial-dummy type dummy",
            "address add 192.0.2.77/24 dev chordial-dummy",
            "link set chordial-dummy up",
        ] {
            let _ = Command::new("ip").args(command.split(' ')).output();
        }
        routed().expect("a network")
    })
}

/// The address from which something would be sent to elsewhere; nothing is.
fn routed() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().expect("an address").ip())
}

/// An INVITE with our place in the route, so that all of its call comes by here.
fn recorded(text: &str, address: SocketAddr) -> String {
    match text.split_once("\r\n") {
        Some((line, rest)) if line.starts_with("INVITE") => {
            format!("{line}\r\nRecord-Route: <sip:{address};lr>\r\n{rest}")
        }
        _ => text.to_owned(),
    }
}

fn register(text: &str, password: &str) -> String {
    let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Contact:", "Expires:"];
    let lines = text.lines().filter(|line| copied.iter().any(|name| line.starts_with(name)));
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    let (status, more) = match text.lines().find(|line| line.starts_with("Authorization:")) {
        Some(line) if is_right(line, password) => ("200 OK", String::new()),
        Some(_) => ("403 Forbidden", String::new()),
        None => {
            let asks = |algorithm| {
                format!(
                    "WWW-Authenticate: Digest realm=\"lab\", nonce=\"{NONCE}\", \
                     qop=\"auth\", algorithm={algorithm}\r\n"
                )
            };
            ("401 Unauthorized", asks("SHA-256") + &asks("MD5"))
        }
    };
    format!("SIP/2.0 {status}\r\n{lines}{more}Content-Length: 0\r\n\r\n")
}

/// RFC 7616 §3.4.1, computed from what the answer says.
fn is_right(line: &str, password: &str) -> bool {
    let value = |name: &str| {
        let rest = line.split_once(&format!(" {name}=")).map_or("", |(_, rest)| rest);
        rest.split(',').next().unwrap_or("").trim().trim_matches('"').to_owned()
    };
    let hash = |text: String| hex::encode(digest(&SHA256, text.as_bytes()));
    let secret = hash(format!("alice:lab:{password}"));
    let request = hash(format!("REGISTER:{}", value("uri")));
    let (nc, cnonce) = (value("nc"), value("cnonce"));
    let expected = hash(format!("{secret}:{NONCE}:{nc}:{cnonce}:auth:{request}"));
    value("algorithm") == "SHA-256" && value("nonce") == NONCE && value("response") == expected
}
