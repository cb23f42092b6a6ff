//! What the user was given by their provider.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::crypto::is_sealed;
use crate::sip::{Aor, Credentials, Host};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The lines of an account's file. What is left out follows from the address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::phone) struct AccountFile {
    pub(in crate::phone) address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::phone) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::phone) password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::phone) server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::phone) transport: Option<SipTransport>,
    #[serde(default = "yes")]
    pub(in crate::phone) register: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::phone) certificates: Option<PathBuf>,
}

impl AccountFile {
    /// Reads what a file says.
    ///
    /// # Errors
    /// What is wrong with it, as part of a sentence. A password is never in it.
    pub(in crate::phone) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().replace('\n', " ");
            let before = error.span().and_then(|span| text.get(..span.start));
            match before {
                // It would quote the value.
                Some(before) if message.contains("invalid type") => {
                    let line = before.matches('\n').count() + 1;
                    format!("line {line} has a value of another kind, and texts stand in quotes")
                }
                _ if message.contains("invalid type") => "a value is of another kind".to_owned(),
                _ => message,
            }
        })
    }

    /// The account.
    ///
    /// # Errors
    /// What is wrong with it, as part of a sentence.
    pub(in crate::phone) fn account(&self) -> Result<SipAccount, String> {
        let no_address = || format!("{} is no address like alice@example.org", self.address);
        let address: Aor = self.address.parse().map_err(|_| no_address())?;
        if address.user().contains(char::is_whitespace) {
            return Err(no_address());
        }
        if let Some(server) = self.server.as_ref().filter(|server| !SipAccount::is_server(server)) {
            return Err(format!("{server} is no name or address of a server"));
        }
        let user = self.user.clone().unwrap_or_else(|| address.user().to_owned());
        let credentials = |password| Credentials { user, password };
        Ok(SipAccount {
            credentials: self.password.clone().map(credentials),
            server: self.server.clone().unwrap_or_else(|| address.host().to_string()),
            transport: self.transport,
            registers: self.register,
            certificates: self.certificates.clone(),
            address,
        })
    }
}

/// What an account's file has to say at least.
const EXAMPLE: &str = r#"`address = "alice@example.org"` and `password = "…"`"#;

impl SipAccount {
    /// Reads an account's file.
    ///
    /// # Errors
    /// One sentence that names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let file = path.display();
        let unreadable = |e: &dyn std::fmt::Display| format!("{file} can't be read: {e}.");
        let bytes = std::fs::read(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!(
                    "{file} is not there. Give a file with the lines {EXAMPLE}, and the account's \
                     own address and password in them."
                )
            }
            _ => unreadable(&e),
        })?;
        if is_sealed(&bytes) {
            return Err(unreadable(&"it is encrypted, and only the phone of its folder opens it"));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it is no text"))?;
        Self::parse(&text).map_err(|why| format!("{file} is no SIP account: {why}."))
    }

    fn parse(text: &str) -> Result<Self, String> {
        AccountFile::parse(text)?.account()
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

    /// Whether this can be a server: a host name or address, perhaps with a port.
    pub fn is_server(server: &str) -> bool {
        let (host, port) = split(server);
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        is_port && (host.parse::<Host>().is_ok() || host.parse::<Ipv6Addr>().is_ok())
    }

    /// The server's host, and its port if that is said.
    pub(super) fn host_and_port(&self) -> (String, Option<u16>) {
        let (host, port) = split(&self.server);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        (host, port.and_then(|port| port.parse().ok()))
    }
}

/// A host, and what stands where its port does.
fn split(server: &str) -> (&str, Option<&str>) {
    match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (server, None),
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
        let error = |text: &str| SipAccount::parse(text).expect_err("wrong");
        assert!(error("address = \"alice\"").contains("alice is no address"));
        assert!(error("addres = \"alice@o\"").contains("addres"));
        assert!(error("address = \"alice@o\"\ntransport = \"pigeon\"").contains("pigeon"));
        assert!(error("address = \"al ice@o\"").contains("al ice@o is no address"));
        let number = error("address = \"alice@o\"\npassword = 271828");
        assert!(number.contains("line 2") && !number.contains("271828"), "{number}");
        for server in ["our house", "http://o", "o:sip", "o:0", "o:70000", ":5060", "", "[::1"] {
            let wrong = error(&format!("address = \"alice@o\"\nserver = \"{server}\""));
            assert!(wrong.contains(&format!("{server} is no name or address")), "{wrong}");
        }
        for server in ["o", "o:5061", "192.0.2.7", "192.0.2.7:5060", "::1", "[::1]", "[::1]:5060"] {
            let text = format!("address = \"alice@o\"\nserver = \"{server}\"");
            assert!(SipAccount::parse(&text).is_ok(), "{server}");
        }
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
