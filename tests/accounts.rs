//! An overlay that gives out names by accounts: its server as a process of its own, clients that
//! are not ours, and peers with what these have got.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use chordial::base::NodeId;
use chordial::config::SignedConfig;
use chordial::crypto::{Keys, Provider, X509Provider};
use chordial::link::{Node, NodeEvent, NodeOptions, RelayOptions, os_seed};
use chordial::message::Destination;
use chordial::peer::{Command as PeerCommand, ConfigEffect, PeerConfig};
use chordial::storage::KindTable;
use serde_json::Value;
use support::served::Served;
use support::{OVERLAY, PATIENCE, program};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// A served overlay as clients see it that are not ours.
struct Lab(Served);

/// What curl was told: the status, the media type, and the body.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: String,
    media_type: String,
    body: Vec<u8>,
}

impl Lab {
    fn start(options: &[&str]) -> Self {
        Self(Served::start(options))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Makes a key and a request with OpenSSL.
    fn request(&self, device: &str, user: &str) {
        let key = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"];
        let name = format!("subjectAltName=email:{user}@{OVERLAY}");
        self.openssl(&[&key[..], &[&format!("{device}.key")]].concat());
        let request = ["req", "-new", "-subj", "/", "-outform", "DER", "-addext", &name];
        let files = ["-key", &format!("{device}.key"), "-out", &format!("{device}.csr")];
        self.openssl(&[&request[..], &files].concat());
    }

    /// Posts the form of RFC 6940 §11.3 with curl. The certificate or token is what it says.
    fn enroll(&self, device: &str, user: &str, password: &str) -> Told {
        let output = self.post(device, user, password).output().expect("curl is installed");
        told(&self.path(&format!("{device}.der")), &output)
    }

    fn post(&self, device: &str, user: &str, password: &str) -> Command {
        let mut curl = self.curl(&format!("{device}.der"));
        curl.args(["-H", "Accept: application/pkix-cert"]);
        curl.args(["-F", &format!("username={user}"), "-F", &format!("password={password}")]);
        curl.args(["-F", &format!("csr=@{device}.csr;type=application/pkcs10")]);
        curl.arg(format!("https://127.0.0.1:{}/enroll", self.0.port));
        curl
    }

    fn curl(&self, out: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.current_dir(self.path("")).args(["-sS", "-m", "60", "--cacert", "overlay/root.pem"]);
        curl.args(["-o", out, "-w", "%{http_code} %{content_type}"]);
        curl
    }

    /// The document as curl gets it.
    fn document(&self) -> SignedConfig {
        let mut curl = self.curl("document.xml");
        curl.args(["--resolve", &format!("{OVERLAY}:{}:127.0.0.1", self.0.port)]);
        curl.arg(format!("https://{OVERLAY}:{}/.well-known/reload-config", self.0.port));
        let output = curl.output().expect("curl is installed");
        let told = told(&self.path("document.xml"), &output);
        assert_eq!((&*told.status, &*told.media_type), ("200", "application/p2p-overlay+xml"));
        SignedConfig::parse(&told.body, Some(OVERLAY)).expect("a document")
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").current_dir(self.path("")).args(arguments).output();
        let output = output.expect("openssl is installed");
        assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn account(&self, arguments: &[&str]) -> String {
        self.0.account(arguments)
    }

    fn provider(&self) -> X509Provider {
        X509Provider {
            overlay: OVERLAY.into(),
            node_id_length: NodeId::LENGTH_DEFAULT,
            self_signed: None,
            roots: self.document().config.root_certs,
        }
    }

    /// The Node-ID of a device in its certificate.
    fn node_id(&self, device: &str) -> NodeId {
        let der = std::fs::read(self.path(&format!("{device}.der"))).expect("a certificate");
        self.provider().certificate(&der).expect("of the overlay").node_ids[0]
    }

    /// A peer with what a device has got, once it has joined.
    async fn join(&self, device: &str) -> (Node, Receiver<NodeEvent>) {
        let (node, mut events) = self.node(device, &self.0.peer).await;
        wait(&mut events, |event| matches!(event, NodeEvent::Joined).then_some(())).await;
        (node, events)
    }

    /// A peer with what a device has got, on its way in through a peer at this address.
    async fn node(&self, device: &str, through: &str) -> (Node, Receiver<NodeEvent>) {
        let key = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"];
        let files = ["-in", &format!("{device}.key"), "-out", &format!("{device}.pk8")];
        self.openssl(&[&key[..], &files].concat());
        let read = |end: &str| std::fs::read(self.path(&format!("{device}.{end}"))).expect("there");
        let keys = Keys { certificate_der: read("der"), private_key_der: read("pk8") };
        let (document, provider) = (Arc::new(self.document()), self.provider());
        let options = NodeOptions {
            config: PeerConfig::of(document.clone()),
            kinds: KindTable::of_document(&document, &provider).expect("consistent"),
            identity: keys.identity(&provider).expect("certificate and key fit"),
            keys,
            provider: Arc::new(provider),
            listen: "127.0.0.1:0".parse().expect("an address"),
            loopback: true,
            stun_servers: Vec::new(),
            relays: RelayOptions::default(),
            opens_ports: false,
            values: None,
            pcap: None,
            seed: os_seed(),
        };
        let (node, events) = Node::start(options).await.expect("started");
        let bootstrap = vec![through.parse().expect("an address")];
        node.tell(PeerCommand::Join(bootstrap)).await.expect("it lives");
        (node, events)
    }
}

fn told(body: &Path, output: &Output) -> Told {
    assert!(output.status.success(), "curl: {output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (status, media_type) = said.split_once(' ').expect("as asked for");
    let body = std::fs::read(body).expect("written by curl");
    Told { status: status.into(), media_type: media_type.into(), body }
}

fn refused(token: &str) -> Told {
    let media_type = "text/plain; charset=utf-8".into();
    Told { status: "403".into(), media_type, body: token.into() }
}

/// Waits for what `wanted` finds in an event.
async fn wait<T>(
    events: &mut Receiver<NodeEvent>,
    mut wanted: impl FnMut(NodeEvent) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = events.recv().await.expect("the node lives");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("in time")
}

/// R6940-11.3-08, R6940-11.3-09, R6940-11.3-11, R6940-11.3-14: curl and OpenSSL alone enroll and
/// get a certificate that OpenSSL finds in order, or the token that says why not.
#[test]
fn curl_and_openssl_enroll() {
    let lab = Lab::start(&["--name", OVERLAY, "--open"]);
    lab.request("alice", "alice");
    let told = lab.enroll("alice", "alice", "open sesame");
    assert_eq!((&*told.status, &*told.media_type), ("200", "application/pkix-cert"), "{told:?}");
    lab.openssl(&["x509", "-inform", "DER", "-in", "alice.der", "-out", "alice.pem"]);
    let verify = ["verify", "-x509_strict", "-CAfile", "overlay/root.pem", "alice.pem"];
    assert_eq!(lab.openssl(&verify), "alice.pem: OK\n");
    let shown =
        lab.openssl(&["x509", "-in", "alice.pem", "-noout", "-subject", "-ext", "subjectAltName"]);
    let uri = format!("URI:reload://0110{}@{OVERLAY}/", lab.node_id("alice"));
    let names = format!(
        "subject=\nX509v3 Subject Alternative Name: critical\n    {uri}, email:alice@{OVERLAY}\n"
    );
    assert_eq!(shown, names);

    assert_eq!(lab.enroll("alice", "alice", "sesame open"), refused("failed_authentication"));
    assert_eq!(lab.enroll("alice", "bob", "bob's password"), refused("username_not_available"));
    lab.request("mallory", "mallory");
    let root = lab.path("overlay/root.pem");
    std::fs::copy(root, lab.path("mallory.csr")).expect("copied");
    assert_eq!(lab.enroll("mallory", "mallory", "guess"), refused("bad_CSR"));
    let by_peer = Command::new("curl")
        .args(["-sS", "-m", "60", &format!("http://{}/.well-known/reload-config", lab.0.peer)])
        .output()
        .expect("curl is installed");
    assert_eq!(by_peer.stdout, lab.document().document, "the peer hands it out too");
    lab.account(&["disable", "alice"]);
    assert_eq!(lab.enroll("alice", "alice", "open sesame"), refused("failed_authentication"));
    lab.account(&["enable", "alice"]);
    let again = lab.enroll("alice", "alice", "open sesame");
    assert_eq!(again.status, "200", "{again:?}");
}

/// Somebody who has forgotten the password gets another one from the operator, while the server
/// runs: the old one is refused like any wrong one, certificates and Node-ID stay.
#[test]
fn an_operator_replaces_a_password() {
    let lab = Lab::start(&["--name", OVERLAY, "--invitation-only"]);
    let password = |told: String| told.trim().rsplit(' ').next().expect("a password").to_owned();
    let forgotten = password(lab.account(&["add", "alice"]));
    lab.request("alice", "alice");
    assert_eq!(lab.enroll("alice", "alice", &forgotten).status, "200");
    let before = lab.node_id("alice");
    let new = password(lab.account(&["password", "alice"]));
    assert_eq!(lab.enroll("alice", "alice", &forgotten), refused("failed_authentication"));
    assert_eq!(lab.enroll("alice", "alice", &new).status, "200");
    assert_eq!(lab.node_id("alice"), before);
    lab.account(&["disable", "alice"]);
    let newest = password(lab.account(&["password", "alice"]));
    let shut = lab.enroll("alice", "alice", &newest);
    assert_eq!(shut, refused("failed_authentication"), "a shut account stays shut");
}

/// Accounts by invitation: the code makes one account under a free name.
#[test]
fn an_invitation_is_a_password() {
    let lab = Lab::start(&["--name", OVERLAY, "--invitation-only"]);
    lab.request("alice", "alice");
    assert_eq!(lab.enroll("alice", "alice", "please"), refused("failed_authentication"));
    let code = |printed: &str| printed.trim().rsplit(' ').next().expect("a code").to_owned();
    let invitation = code(&lab.account(&["invite"]));
    let given = code(&lab.account(&["add", "bob"]));
    lab.request("bob", "bob");
    assert_eq!(lab.enroll("bob", "bob", &invitation), refused("username_not_available"));
    assert_eq!(lab.enroll("bob", "bob", &given).status, "200");
    assert_eq!(lab.enroll("alice", "alice", &invitation).status, "200");
    lab.request("carol", "carol");
    assert_eq!(lab.enroll("carol", "carol", &invitation), refused("failed_authentication"));
    let listed = lab.account(&["list", "--json"]);
    let accounts: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(accounts.len(), 2, "{listed}");
    assert_eq!((&accounts[0]["name"], &accounts[0]["state"]), (&"alice".into(), &"active".into()));
    assert_eq!(accounts[0]["nodes"][0]["node_id"], lab.node_id("alice").to_string());
}

/// R6940-11.1-01: peers join with what the server gave them; who is revoked while
/// the overlay runs is put out of it by a document that reaches all others.
#[tokio::test]
async fn a_revoked_peer_is_put_out() {
    let lab = Lab::start(&["--name", OVERLAY, "--open"]);
    for user in ["alice", "mallory"] {
        lab.request(user, user);
        assert_eq!(lab.enroll(user, user, "secret").status, "200");
    }
    let (alice, mut events_of_alice) = lab.join("alice").await;
    let (mallory, _events_of_mallory) = lab.join("mallory").await;
    lab.account(&["revoke", "mallory"]);
    let learned = |event| match event {
        NodeEvent::Configured(document, ConfigEffect::InForce) => Some(document),
        _ => None,
    };
    let document = wait(&mut events_of_alice, learned).await;
    assert_eq!(document.config.bad_nodes, [lab.node_id("mallory")]);
    assert_eq!(document.document, lab.document().document, "the server hands out the same");
    let reached = alice.request(PeerCommand::Ping(Destination::from(alice.node_id()))).await;
    assert!(reached.is_ok(), "{reached:?}");
    let alone = async { mallory.status().wait_for(|status| status.links == 0).await.map(|_| ()) };
    timeout(PATIENCE, alone).await.expect("in time").expect("the node lives");
    let (_again, mut events) = lab.node("mallory", &lab.0.peer).await;
    let failed = |event| matches!(event, NodeEvent::JoinFailed(_)).then_some(());
    wait(&mut events, failed).await;
    assert_eq!(lab.enroll("mallory", "mallory", "secret"), refused("failed_authentication"));
}

/// R6940-13.3-02: a certificate of another authority, though for the same overlay by name, opens
/// no link.
#[tokio::test]
async fn another_authority_vouches_for_nobody() {
    let (lab, other) =
        (Lab::start(&["--name", OVERLAY]), Lab::start(&["--name", OVERLAY, "--open"]));
    other.request("eve", "eve");
    assert_eq!(other.enroll("eve", "eve", "secret").status, "200");
    let (_eve, mut events) = other.node("eve", &lab.0.peer).await;
    let failed = |event| matches!(event, NodeEvent::JoinFailed(_)).then_some(());
    wait(&mut events, failed).await;
    let (_eve, mut events) = other.node("eve", &other.0.peer).await;
    wait(&mut events, |event| matches!(event, NodeEvent::Joined).then_some(())).await;
}

/// R6940-11.3-12: whoever has a certificate does not need the server: it is killed, the peers reach
/// each other as before, and when it is back it gives them the same Node-IDs.
#[tokio::test]
async fn peers_do_without_the_server() {
    let mut lab = Lab::start(&["--name", OVERLAY, "--open"]);
    let users = ["alice", "bob", "carol"];
    let mut nodes = Vec::new();
    for user in users {
        lab.request(user, user);
        assert_eq!(lab.enroll(user, user, "secret").status, "200");
        nodes.push(lab.join(user).await);
    }
    lab.0.server.kill();
    for (from, _) in &nodes {
        for (to, _) in &nodes {
            // What went by the server's peer at that moment goes another way the next time.
            let reached = async {
                let ping = PeerCommand::Ping(Destination::from(to.node_id()));
                while from.request(ping.clone()).await.is_err() {}
            };
            timeout(PATIENCE, reached).await.expect("in time");
        }
    }
    lab.0.start_again();
    for ((node, _), user) in nodes.iter().zip(users) {
        assert_eq!(lab.enroll(user, user, "secret").status, "200");
        assert_eq!(lab.node_id(user), node.node_id());
    }
}

/// R6940-11.3-12: the server is killed while it gives out certificates, again and again; it starts
/// each time, and whoever comes back with the same key has the Node-ID that they had.
#[test]
fn a_killed_server_starts_again() {
    let mut lab = Lab::start(&["--name", OVERLAY, "--open"]);
    for round in 0..3 {
        let users: Vec<String> = (0..6).map(|number| format!("user-{round}-{number}")).collect();
        users.iter().for_each(|user| lab.request(user, user));
        let posts: Vec<_> = users
            .iter()
            .map(|user| {
                let mut curl = lab.post(user, user, "secret");
                curl.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
                curl.spawn().expect("curl is installed")
            })
            .collect();
        // One has a certificate, and others are on their way to it.
        lab.0.server.wait("enrolled");
        lab.0.server.kill();
        let answered: Vec<bool> = posts
            .into_iter()
            .map(|post| {
                let output = post.wait_with_output().expect("our child");
                output.status.success() && output.stdout.starts_with(b"200")
            })
            .collect();
        lab.0.start_again();
        for (user, was_answered) in users.iter().zip(answered) {
            let first = was_answered.then(|| lab.node_id(user));
            let told = lab.enroll(user, user, "secret");
            assert_eq!(told.status, "200", "{user}: {told:?}");
            assert!(first.is_none_or(|first| first == lab.node_id(user)), "{user}");
        }
        let nodes = lab.account(&["list", "--json"]);
        assert_eq!(nodes.matches("node_id").count(), 6 * (round + 1), "one each: {nodes}");
    }
    assert_eq!(lab.document().config.sequence, 1, "nothing has changed in it");
}

/// An authority whose private keys are under a password issues and revokes with it alone.
#[test]
fn an_authority_is_under_a_password() {
    let secrets = tempfile::tempdir().expect("a folder");
    let [right, wrong] = ["correct horse", "correct house"].map(|password| {
        let path = secrets.path().join(password);
        std::fs::write(&path, password).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    });
    let mut lab = Lab::start(&["--name", OVERLAY, "--open", "--password-file", &right]);
    lab.request("alice", "alice");
    assert_eq!(lab.enroll("alice", "alice", "open sesame").status, "200");
    let state = lab.path("overlay");
    let run = |arguments: &[&str]| {
        let mut command = program();
        let output = command.arg("overlay").args(arguments).arg("--state").arg(&state).output();
        let output = output.expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let revoke = ["account", "revoke", "alice"];
    let (code, told) = run(&revoke);
    assert!(code == Some(2) && told.contains("private keys are encrypted"), "{told}");
    let with = |file| run(&[&revoke[..], &["--keys-password-file", file]].concat());
    let (code, told) = with(&wrong);
    assert!(code == Some(2) && told.contains("is wrong"), "{told}");
    assert_eq!(with(&right), (Some(0), String::new()));
    let document = std::fs::read(lab.0.document()).expect("written");
    let document = SignedConfig::parse(&document, Some(OVERLAY)).expect("a document");
    assert_eq!(document.config.bad_nodes, [lab.node_id("alice")]);
    lab.0.server.kill();
    let (code, told) = run(&["serve", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:0"]);
    assert!(code == Some(2) && told.contains("private keys are encrypted"), "{told}");
}

/// What cannot be used is one sentence and changes nothing.
#[test]
fn mistakes_of_the_owner_get_a_sentence() {
    let fails = |state: &Path, arguments: &[&str], sentence: &str| {
        let mut command = program();
        let output = command.arg("overlay").args(arguments).arg("--state").arg(state).output();
        let output = output.expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(sentence), "{arguments:?}: {stderr}");
    };
    let listen = ["serve", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:0"];
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = folder.path().join("overlay");
    fails(&nothing, &listen, "There is no overlay in");
    fails(&nothing, &["account", "list"], "There is no overlay in");
    assert!(!nothing.exists(), "nothing was made");
    let lab = Lab::start(&["--name", OVERLAY]);
    let state = lab.path("overlay");
    let other = [&listen[..], &["--name", "other.example"]].concat();
    fails(&state, &listen, "Another server of this overlay runs in");
    fails(&state, &other, "is lab.example, not other.example");
    fails(&state, &["account", "add", "zo\u{eb}"], "is no account name");
    fails(&state, &["account", "revoke", "nobody"], "There is no account named nobody.");
    fails(&state, &["account", "revoke", "nobody", "--node", "xyz"], "is no Node-ID");
}
