//! An overlay that gives out names by accounts, with its server as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OVERLAY, Phone, program};

/// An overlay's server, and a folder for it and those who use it.
pub struct Served {
    folder: tempfile::TempDir,
    /// The server, in the overlay's folder `overlay`.
    pub server: Phone,
    /// The port of its HTTPS server at 127.0.0.1.
    pub port: u16,
    /// Where its peer is.
    pub peer: String,
}

impl Served {
    /// Starts a server with these options and waits until its peer is up.
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (server, port, peer) = serve(folder.path(), options);
        Self { folder, server, port, peer }
    }

    /// An overlay in which everybody makes an account by enrolling, with [`PASSWORD`].
    pub fn open() -> Self {
        let served = Self::start(&["--name", OVERLAY, "--open"]);
        std::fs::write(served.path("password"), PASSWORD).expect("written");
        served
    }

    /// Starts the server again, which finds everything in its folder.
    pub fn start_again(&mut self) {
        let (port, peer) = (self.port, self.peer.clone());
        (self.server, self.port, self.peer) = serve(self.folder.path(), &[]);
        assert_eq!((self.port, &self.peer), (port, &peer), "everybody looks for it there");
    }

    /// A file or folder beside the overlay's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The document as the server has it now.
    pub fn document(&self) -> PathBuf {
        self.path("overlay/document.xml")
    }

    /// Starts a phone of an account with [`PASSWORD`]; its state is in the folder of `device`, and
    /// what it hears in the file that [`Self::heard_by`] names.
    pub fn phone(&self, command: &[&str], account: &str, device: &str) -> Phone {
        Phone::start(&mut self.phone_command(command, account, device), device)
    }

    /// The command of [`Self::phone`].
    pub fn phone_command(&self, command: &[&str], account: &str, device: &str) -> Command {
        let mut phone = program();
        phone.args(command).args(["--json", "--user", account, "--listen", "127.0.0.1:0"]);
        phone.arg("--overlay").arg(self.document()).arg("--state").arg(self.path(device));
        phone.arg("--account-password-file").arg(self.path("password"));
        phone.arg("--record").arg(self.heard_by(device));
        phone
    }

    /// Where a device's recording is.
    pub fn heard_by(&self, device: &str) -> PathBuf {
        self.path(&format!("{device}-heard.wav"))
    }

    /// What `chordial overlay account` prints.
    pub fn account(&self, arguments: &[&str]) -> String {
        let output = program()
            .args(["overlay", "account", "--state"])
            .arg(self.path("overlay"))
            .args(arguments)
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

fn serve(folder: &Path, options: &[&str]) -> (Phone, u16, String) {
    let mut command = program();
    command.args(["overlay", "serve", "--json"]);
    command.args(["--listen", "127.0.0.1:0", "--peer", "127.0.0.1:0"]);
    command.arg("--state").arg(folder.join("overlay")).args(options);
    let mut server = Phone::start(&mut command, "server");
    let serving = server.wait("serving");
    let url = serving["url"].as_str().expect("a URL").to_owned();
    let port = url.strip_prefix("https://127.0.0.1:").and_then(|u| u.strip_suffix("/enroll"));
    let port = port.and_then(|port| port.parse().ok()).expect("a port");
    server.wait("joined");
    (server, port, serving["peer"].as_str().expect("an address").to_owned())
}

/// The password of every account here.
pub const PASSWORD: &str = "open sesame";
