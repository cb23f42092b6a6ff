//! An overlay whose enrollment server can be made to halt in the middle of its work.

use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use chordial::base::NodeId;
use chordial::config::OverlayConfig;
use chordial::crypto::{Authority, RequestedCertificate};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::served::PASSWORD;
use super::{OVERLAY, PATIENCE, Phone, program};

/// Where the server halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A TCP connection is there.
    Connected,
    /// TLS is up.
    Secured,
    /// The request has been read.
    Asked,
    /// The certificate is made, and the head of the answer sent.
    HeadSent,
    /// Half of the certificate is sent.
    HalfSent,
    /// All is sent.
    Sent,
}

/// The overlay, its server, and a folder for its users.
pub struct Halting {
    folder: tempfile::TempDir,
    server: Arc<Server>,
    halted: Receiver<Step>,
    _runtime: Runtime,
}

struct Server {
    authority: Authority,
    /// In which milliseconds the next certificates are valid.
    validity: Mutex<Range<u64>>,
    halt_at: Mutex<Option<Step>>,
    halted: Sender<Step>,
}

impl Halting {
    /// Starts the server; its certificates last for a month.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // No certificate counts for longer than its root.
        let authority = Authority::generate(OVERLAY, now_ms() - 20 * DAY_MS).expect("made");
        let local = ["127.0.0.1".parse().expect("an address")];
        let keys = authority.issue_server(&[OVERLAY], &local, lasting()).expect("issued");
        let key = PrivateKeyDer::try_from(keys.private_key_der).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("of ring")
            .with_no_client_auth()
            .with_single_cert(vec![keys.certificate_der.into()], key)
            .expect("they fit");
        let (sender, halted) = channel();
        let server = Arc::new(Server {
            authority,
            validity: Mutex::new(lasting()),
            halt_at: Mutex::default(),
            halted: sender,
        });
        let runtime = Runtime::new().expect("threads");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("bound");
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), server.clone()));
        let config = OverlayConfig {
            self_signed_permitted: None,
            root_certs: vec![server.authority.certificate_der().to_vec()],
            enrollment_servers: vec![format!("https://{address}/enroll")],
            ..OverlayConfig::self_signed(OVERLAY).expect("a name")
        };
        let halting = Self { folder, server, halted, _runtime: runtime };
        std::fs::write(halting.path("overlay.xml"), config.write()).expect("written");
        halting.set_password(PASSWORD);
        halting
    }

    /// Makes the server halt at a step from now on, or work.
    pub fn halt_at(&self, step: Option<Step>) {
        *self.server.halt_at.lock().expect("no panic") = step;
    }

    /// Waits until the server halts.
    pub fn wait_for_halt(&self) {
        self.halted.recv_timeout(PATIENCE).expect("somebody asks");
    }

    /// Lets certificates be such from now on that they are to be renewed at once, or last.
    pub fn let_end_soon(&self, ends_soon: bool) {
        let validity = if ends_soon { now_ms() - 9 * DAY_MS..now_ms() + DAY_MS } else { lasting() };
        *self.server.validity.lock().expect("no panic") = validity;
    }

    /// The password that phones are started with from now on.
    pub fn set_password(&self, password: &str) {
        std::fs::write(self.path("password"), password).expect("written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of this user's identity.
    pub fn file(&self, user: &str, name: &str) -> PathBuf {
        self.path(user).join("overlays").join(OVERLAY).join(user).join(name)
    }

    /// Starts the peer of a user, whose state is in the folder of that name; nobody else is there.
    pub fn peer(&self, user: &str) -> Phone {
        let mut peer = program();
        peer.args(["peer", "--json", "--first", "--user", user, "--listen", "127.0.0.1:0"]);
        peer.arg("--overlay").arg(self.path("overlay.xml")).arg("--state").arg(self.path(user));
        peer.arg("--account-password-file").arg(self.path("password"));
        Phone::start(&mut peer, user)
    }

    /// Makes whoever writes this file of a user's halt when they begin: it is a pipe that nobody
    /// reads.
    pub fn halt_at_file(&self, user: &str, name: &str) {
        let pipe = self.file(user, &format!("{name}.new"));
        std::fs::create_dir_all(pipe.parent().expect("a folder")).expect("made");
        let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
        assert!(made.success(), "{}", pipe.display());
    }

    /// Waits until somebody halts at the file and kills them; they leave half of it.
    pub fn kill_at_file(&self, user: &str, name: &str, peer: &mut Phone) {
        let pipe = self.file(user, &format!("{name}.new"));
        // This waits for a writer, who goes on from here.
        let reader = std::fs::File::open(&pipe).expect("a pipe");
        peer.kill();
        drop(reader);
        std::fs::remove_file(&pipe).expect("there");
        assert!(!self.file(user, name).exists() || name != "key.der", "the key is half there");
        std::fs::write(&pipe, [0x30, 0x82]).expect("written");
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, server: Arc<Server>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, server) = (tls.clone(), server.clone());
        tokio::spawn(async move {
            // Whoever is killed asks no further.
            let _ = server.answer(stream, tls).await;
        });
    }
}

impl Server {
    async fn answer(&self, stream: TcpStream, tls: TlsAcceptor) -> std::io::Result<()> {
        self.pass(Step::Connected).await;
        let mut stream = tls.accept(stream).await?;
        self.pass(Step::Secured).await;
        let form = read_form(&mut stream).await?;
        self.pass(Step::Asked).await;
        let (status, media_type, body) = match has(&form, PASSWORD.as_bytes()) {
            true => ("200 OK", "application/pkix-cert", self.issue(&form)),
            false => ("403 Forbidden", "text/plain", b"failed_authentication".to_vec()),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        let (first, second) = body.split_at(body.len() / 2);
        let parts =
            [(head.as_bytes(), Step::HeadSent), (first, Step::HalfSent), (second, Step::Sent)];
        for (bytes, step) in parts {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            self.pass(step).await;
        }
        Ok(())
    }

    /// Halts for ever if it is to be here.
    async fn pass(&self, step: Step) {
        if *self.halt_at.lock().expect("no panic") == Some(step) {
            self.halted.send(step).expect("somebody waits");
            std::future::pending::<()>().await;
        }
    }

    /// A certificate for the request in a form. A user's Node-ID comes from the key.
    fn issue(&self, form: &[u8]) -> Vec<u8> {
        let head = b"Content-Type: application/pkcs10\r\n\r\n";
        let start = position(form, head).expect("a request") + head.len();
        let length = form[start..].windows(4).rposition(|end| end == b"\r\n--").expect("an end");
        let request = RequestedCertificate::read(&form[start..start + length]).expect("a request");
        let user = request.user_name().expect("a name").to_owned();
        let key = rcgen::PublicKeyData::subject_public_key_info(&request);
        let node_id = NodeId::new(&key[key.len() - 16..]).expect("16 bytes");
        let validity = self.validity.lock().expect("no panic").clone();
        self.authority.issue(&request, &user, &[node_id], validity).expect("issued")
    }
}

/// The body of a POST.
async fn read_form(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = position(&bytes, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
        if bytes.len() >= end + 4 + length {
            return Ok(bytes.split_off(end + 4));
        }
    }
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    position(bytes, &[b"\r\n\r\n", what, b"\r\n"].concat()).is_some()
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn lasting() -> Range<u64> {
    now_ms() - DAY_MS..now_ms() + 30 * DAY_MS
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("not so late")
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
