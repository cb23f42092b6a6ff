//! What the user was given by their provider.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::sip::{Aor, Credentials};

/// An ordinary SIP account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipAccount {
    /// The user's address, such as `alice@example.org`.
    pub address: Aor,
    /// The name and password that the registrar asks for.
    pub credentials: Option<Credentials>,
    /// The registrar's host name or address, with its port unless that is for DNS to say.
    pub server: String,
    /// How it is reached; without it, as its domain says in DNS, or by UDP.
    pub transport: Option<SipTransport>,
    /// Whether calls to the address are to ring here.
    pub registers: bool,
    /// A file of certificates (PEM) to believe a TLS server by; without it those of the system.
    pub certificates: Option<PathBuf>,
}

/// How a registrar is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SipTransport {
    /// One message in each datagram.
    #[default]
    Udp,
    /// A stream.
    Tcp,
    /// An encrypted stream to a server that proves its name.
    Tls,
}

impl SipTransport {
    /// The token in Via (RFC 3261 §20.42).
    pub fn token(self) -> &'static str {
        match self {
            Self::Udp => crate::sip::Line::UDP,
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The usual port (RFC 3261 §19.1.2).
    pub fn port(self) -> u16 {
        if self == Self::Tls { 5061 } else { 5060 }
    }
}

/// The lines of an account's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    user: Option<String>,
    password: Option<String>,
    server: Option<String>,
    transport: Option<SipTransport>,
    #[serde(default = "yes")]
    register: bool,
    certificates: Option<PathBuf>,
}

impl SipAccount {
    /// Reads an account's file.
    ///
    /// # Errors
    /// One sentence that names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| format!("{} can't be read: {e}.", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{} is no SIP account: {why}.", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        let address: Aor = file
            .address
            .parse()
            .map_err(|_| format!("{} is no address like alice@example.org", file.address))?;
        let user = file.user.unwrap_or_else(|| address.user().to_owned());
        Ok(Self {
            credentials: file.password.map(|password| Credentials { user, password }),
            server: file.server.unwrap_or_else(|| address.host().to_string()),
            transport: file.transport,
            registers: file.register,
            certificates: file.certificates,
            address,
        })
    }

    /// Which of several accounts calls somebody: the first one of the callee's domain, or else the
    /// first one. `None` if there is no account.
    pub fn choose<'a>(accounts: &'a [Self], callee: &Aor) -> Option<&'a Self> {
        let is_of_domain = |account: &&Self| account.address.host() == callee.host();
        accounts.iter().find(is_of_domain).or_else(|| accounts.first())
    }

    /// Whom a name that was typed means: one without a domain is of the account's own.
    pub fn callee(&self, name: &str) -> Result<Aor, String> {
        let whole = match name.contains('@') {
            true => name.to_owned(),
            false => format!("{}@{}", name.trim_start_matches("sip:"), self.address.host()),
        };
        whole.parse().map_err(|_| format!("{name} is no address like alice@example.org."))
    }

    /// The server's host, and its port if that is said.
    pub(super) fn host_and_port(&self) -> (String, Option<u16>) {
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        match self.server.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (bare(host), port.parse().ok())
            }
            _ => (bare(&self.server), None),
        }
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_follows_from_the_address() {
        let account = SipAccount::parse("address = \"alice@example.org\"\npassword = \"x\"");
        let account = account.expect("an account");
        let credentials = account.credentials.clone().expect("a password");
        assert_eq!((credentials.user.as_str(), account.registers), ("alice", true));
        assert_eq!(account.host_and_port(), ("example.org".to_owned(), None));
        let other = SipAccount { server: "[2001:db8::1]:5070".into(), ..account.clone() };
        assert_eq!(other.host_and_port(), ("2001:db8::1".to_owned(), Some(5070)));
        assert_eq!(account.callee("bob").map(|aor| aor.to_string()), Ok("bob@example.org".into()));
        assert!(!format!("{account:?}").contains("\"x\""), "no password in what is logged");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text| SipAccount::parse(text).expect_err("wrong");
        assert!(error("address = \"alice\"").contains("alice is no address"));
        assert!(error("addres = \"alice@o\"").contains("addres"));
        assert!(error("address = \"alice@o\"\ntransport = \"pigeon\"").contains("pigeon"));
    }

    #[test]
    fn the_callees_domain_chooses_the_account() {
        let account = |address: &str| SipAccount::parse(&format!("address = \"{address}\""));
        let accounts = [account("a@one.example"), account("b@two.example")].map(Result::unwrap);
        let chosen = |callee: &str| {
            let callee = callee.parse().expect("an address");
            SipAccount::choose(&accounts, &callee).map(|account| account.address.to_string())
        };
        assert_eq!(chosen("x@two.example").as_deref(), Some("b@two.example"));
        assert_eq!(chosen("x@three.example").as_deref(), Some("a@one.example"));
    }
}
