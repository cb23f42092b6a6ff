//! What is typed into forms, and what is wrong with it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::words;
use crate::crypto::Password;
use crate::enroll::Invitation;
use crate::enroll::server::random_password;
use crate::phone::{
    AccountJob, Command, Credentials, Entrance, OverlayKind, SipAccount, SipAccountFacts,
    SipAccountJob, SipTransport, Snapshot,
};
use crate::sip::Aor;
use crate::usage::parse_aor;

/// The port of a bootstrap link when an address names none (RFC 6940 §11.1 and its IANA port).
const PORT_DEFAULT: u16 = 6084;
/// Longest user name; an Address of Record has to fit into a certificate's rfc822Name.
const USER_CHARS_MAX: usize = 64;
/// Longest DNS name (RFC 1035 §2.3.4), and its longest label.
const DOMAIN_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

/// The form to join an overlay.
#[derive(Clone, Debug, Default)]
pub struct JoinForm {
    /// The overlay's name, an invitation or a document's path.
    pub entrance: String,
    /// The user's name.
    pub user: String,
    /// Addresses to try first.
    pub bootstrap: String,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl JoinForm {
    /// The way in that was typed, or what is wrong with it.
    pub fn entrance(&self) -> Result<Entrance, String> {
        let text = self.entrance.trim();
        let path = file_path(text);
        if text.is_empty() {
            Err(words::fault_entrance_empty().to_owned())
        } else if Invitation::is_link(text) {
            match text.parse::<Invitation>() {
                Ok(_) => Ok(Entrance::Invitation(text.to_owned())),
                Err(error) => Err(words::as_sentence(&error.to_string())),
            }
        } else if !looks_like_a_path(text) {
            match overlay_fault(text) {
                None => Ok(Entrance::Name(text.to_lowercase())),
                Some(fault) => Err(fault.to_owned()),
            }
        } else if path.is_file() {
            Ok(Entrance::Document(path))
        } else {
            Err(words::fault_document_missing().to_owned())
        }
    }

    /// The command that the form stands for, or `None` while something is wrong.
    pub fn command(&self) -> Option<Command> {
        if user_fault(&self.user).is_some() {
            return None;
        }
        Some(Command::Join {
            entrance: self.entrance().ok()?,
            user: self.user.trim().to_owned(),
            bootstrap: addresses(&self.bootstrap).ok()?,
        })
    }
}

/// The form to start an overlay.
#[derive(Clone, Debug)]
pub struct StartForm {
    /// The overlay's name.
    pub name: String,
    /// The user's name.
    pub user: String,
    /// Whether names are given out to accounts.
    pub has_accounts: bool,
    /// Where the bootstrap link listens.
    pub listen: String,
    /// The host name or address by which others reach this computer; empty for its own.
    pub host: String,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl Default for StartForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            user: String::new(),
            has_accounts: true,
            listen: format!("[::]:{PORT_DEFAULT}"),
            host: String::new(),
            tried: false,
        }
    }
}

impl StartForm {
    /// What is wrong with the name or address by which others reach this computer.
    pub fn host_fault(&self) -> Option<&'static str> {
        let host = self.host.trim();
        let is_one =
            host.is_empty() || host.parse::<IpAddr>().is_ok() || overlay_fault(host).is_none();
        (!is_one && self.has_accounts).then_some(words::fault_host())
    }

    /// The command that the form stands for, or `None` while something is wrong.
    pub fn command(&self) -> Option<Command> {
        let faults = [user_fault(&self.user), overlay_fault(&self.name), self.host_fault()];
        if faults.iter().any(Option::is_some) {
            return None;
        }
        let host = Some(self.host.trim().to_owned()).filter(|host| !host.is_empty());
        let kind = match self.has_accounts {
            true => OverlayKind::Accounts { host },
            false => OverlayKind::SelfSigned,
        };
        Some(Command::StartOverlay {
            kind,
            name: self.name.trim().to_lowercase(),
            user: self.user.trim().to_owned(),
            listen: address(self.listen.trim())?,
        })
    }
}

/// What the enrollment server of an overlay knows the user by.
#[derive(Clone, Debug, Default)]
pub struct AccountForm {
    /// The overlay that it is for.
    pub overlay: String,
    /// The account's name.
    pub account: String,
    /// Its password.
    pub password: Secret,
    /// The same again, where it is chosen now.
    pub again: Secret,
    /// Whether the password is chosen now.
    pub is_new: bool,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl AccountForm {
    /// What is wrong with the password.
    pub fn password_fault(&self) -> Option<&'static str> {
        match self.is_new {
            true => new_password_fault(&self.password),
            false => self.password.fault(),
        }
    }

    /// What is wrong with its repetition.
    pub fn again_fault(&self) -> Option<&'static str> {
        let differs = self.is_new && self.password != self.again;
        differs.then_some(words::fault_passwords_differ())
    }

    /// What the form stands for, or `None` while something is wrong.
    pub fn credentials(&self) -> Option<Credentials> {
        let account = self.account.trim().to_owned();
        let faults = [self.password_fault(), self.again_fault()];
        let is_complete = !account.is_empty() && faults.iter().all(Option::is_none);
        is_complete.then(|| Credentials { account, password: self.password.password() })
    }
}

/// The form for an account that somebody else will have.
#[derive(Clone, Debug, Default)]
pub struct AddForm {
    /// Whether it is shown.
    pub is_open: bool,
    /// Whether its first field takes the keyboard at the next frame.
    pub wants_focus: bool,
    /// The account's name.
    pub name: String,
    /// Its password, which is shown: somebody has to be told.
    pub password: String,
    /// The name that was sent off.
    pub sent: Option<String>,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl AddForm {
    /// The form with a password that nobody has to invent.
    pub fn opened() -> Self {
        let password = random_password().unwrap_or_default();
        Self { is_open: true, wants_focus: true, password, ..Self::default() }
    }

    /// What is wrong with the name.
    pub fn name_fault(&self) -> Option<&'static str> {
        user_fault(&self.name)
    }

    /// What is wrong with the password.
    pub fn password_fault(&self) -> Option<&'static str> {
        new_password_fault(&Secret(self.password.clone()))
    }

    /// What the form stands for, or `None` while something is wrong.
    pub fn send(&mut self) -> Option<AccountJob> {
        self.tried = true;
        if self.name_fault().is_some() || self.password_fault().is_some() {
            return None;
        }
        let name = self.name.trim().to_lowercase();
        self.sent = Some(name.clone());
        Some(AccountJob::Add { name, password: Password::new(self.password.as_str()) })
    }
}

/// The form for an ordinary account, by which calls leave the overlays.
#[derive(Clone, Debug, Default)]
pub struct SipForm {
    /// The user's address.
    pub address: String,
    /// The provider's password.
    pub password: Secret,
    /// The provider's server; empty for that of the address.
    pub server: String,
    /// How the server is reached, if the user says so.
    pub transport: Option<SipTransport>,
    /// Whether its first field takes the keyboard at the next frame.
    pub wants_focus: bool,
    /// Whether it was sent off.
    pub sent: bool,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl SipForm {
    /// The address as the phone will have it.
    fn aor(&self) -> Option<Aor> {
        let address = self.address.trim();
        address.parse().ok().filter(|_| !address.contains(char::is_whitespace))
    }

    fn server(&self) -> Option<String> {
        Some(self.server.trim().to_owned()).filter(|server| !server.is_empty())
    }

    /// What is wrong with the address.
    pub fn address_fault(&self) -> Option<&'static str> {
        self.aor().is_none().then_some(words::fault_telephone_address())
    }

    /// Whether the account has a password from before.
    pub fn has_password(&self, snapshot: &Snapshot) -> bool {
        let aor = self.aor().map(|aor| aor.to_string());
        snapshot.sip_accounts.iter().any(|facts| {
            matches!(facts, SipAccountFacts::Account { address, has_password: true, .. }
                if aor.as_ref() == Some(address))
        })
    }

    /// What is wrong with the password.
    pub fn password_fault(&self, snapshot: &Snapshot) -> Option<&'static str> {
        self.password.fault().filter(|_| !self.has_password(snapshot))
    }

    /// What is wrong with the server.
    pub fn server_fault(&self) -> Option<&'static str> {
        let is_wrong = self.server().is_some_and(|server| !SipAccount::is_server(&server));
        is_wrong.then_some(words::fault_telephone_server())
    }

    /// The command that the form stands for, or `None` while something is wrong.
    pub fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        if self.password_fault(snapshot).is_some() || self.server_fault().is_some() {
            return None;
        }
        let password = Some(self.password.password()).filter(|p| !p.as_str().is_empty());
        Some(Command::SipAccount(SipAccountJob::Keep {
            address: self.aor()?.to_string(),
            password,
            server: self.server(),
            transport: self.transport,
        }))
    }

    /// Whether the phone has what was sent.
    pub fn is_kept(&self, snapshot: &Snapshot) -> bool {
        let Some(aor) = self.aor().filter(|_| self.sent) else { return false };
        let wanted = (&aor.to_string(), &self.server(), &self.transport, &true);
        snapshot.sip_accounts.iter().any(|facts| match facts {
            SipAccountFacts::Account { address, server, transport, has_password, .. } => {
                (address, server, transport, has_password) == wanted
            }
            SipAccountFacts::Unreadable { .. } => false,
        })
    }
}

/// The form to restore from a backup.
#[derive(Clone, Debug, Default)]
pub struct RestoreForm {
    /// The backup's path.
    pub path: String,
    /// Its password.
    pub password: Secret,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl RestoreForm {
    /// What is wrong with the path.
    pub fn path_fault(&self) -> Option<&'static str> {
        match self.path.trim() {
            "" => Some(words::fault_file_empty()),
            path if !file_path(path).is_file() => Some(words::fault_document_missing()),
            _ => None,
        }
    }

    /// The command that the form stands for, or `None` while something is wrong.
    pub fn command(&self) -> Option<Command> {
        if self.path_fault().is_some() || self.password.fault().is_some() {
            return None;
        }
        let path = file_path(self.path.trim());
        Some(Command::Restore { path, password: self.password.password() })
    }
}

/// A new password, typed twice, and perhaps a file that it is for.
#[derive(Clone, Debug, Default)]
pub struct PasswordForm {
    /// The file.
    pub path: String,
    /// The password.
    pub password: Secret,
    /// The same again.
    pub again: Secret,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl PasswordForm {
    /// What is wrong with the password.
    pub fn password_fault(&self) -> Option<&'static str> {
        new_password_fault(&self.password)
    }

    /// What is wrong with its repetition.
    pub fn again_fault(&self) -> Option<&'static str> {
        (self.password.0 != self.again.0).then_some(words::fault_passwords_differ())
    }

    /// The password, or `None` while something is wrong with it.
    pub fn password(&self) -> Option<Password> {
        let is_good = self.password_fault().is_none() && self.again_fault().is_none();
        is_good.then(|| self.password.password())
    }
}

/// What was typed into a field that shows nothing of it; nor does `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl Secret {
    /// The password.
    pub fn password(&self) -> Password {
        Password::new(self.0.as_str())
    }

    /// What is wrong with a password that exists already.
    pub fn fault(&self) -> Option<&'static str> {
        self.0.is_empty().then_some(words::fault_password_empty())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What is wrong with a password that is chosen now.
fn new_password_fault(password: &Secret) -> Option<&'static str> {
    (!password.password().is_long_enough()).then_some(words::fault_password_short())
}

/// What is wrong with a user name.
pub fn user_fault(user: &str) -> Option<&'static str> {
    let user = user.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if user.is_empty() {
        Some(words::fault_user_empty())
    } else if user.len() > USER_CHARS_MAX {
        Some(words::fault_user_long())
    } else if !user.chars().all(allowed) {
        Some(words::fault_user_signs())
    } else {
        None
    }
}

/// What is wrong with an overlay's name.
pub fn overlay_fault(name: &str) -> Option<&'static str> {
    let name = name.trim();
    let label_is_good = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        label.len() <= LABEL_CHARS_MAX
            && edge(label.chars().next())
            && edge(label.chars().last())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if name.is_empty() {
        Some(words::fault_network_empty())
    } else if name.len() > DOMAIN_CHARS_MAX || !name.split('.').all(label_is_good) {
        Some(words::fault_network_signs())
    } else {
        None
    }
}

/// What is wrong with a name that is to be called.
pub fn dial_fault(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("sip:").unwrap_or(name);
    let mut parts = name.split('@');
    if name.contains(char::is_whitespace) {
        Some(words::fault_dial_space())
    } else if parts.by_ref().take(2).any(str::is_empty) || parts.next().is_some() {
        Some(words::fault_dial_at())
    } else {
        None
    }
}

/// A name that was typed as others know it: with the overlay, as the phone will have it.
pub fn in_full(name: &str, snapshot: &Snapshot) -> String {
    let overlay = snapshot.me().map_or("", |me| me.overlay.as_str());
    parse_aor(name, overlay).map_or_else(|_| name.to_owned(), |aor| aor.to_string())
}

/// Addresses separated by spaces or commas, or the part that is none.
pub fn addresses(text: &str) -> Result<Vec<SocketAddr>, &str> {
    text.split([',', ' ', ';'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| address(part).ok_or(part))
        .collect()
}

/// An address with a port, or with the usual port if it names none.
pub fn address(text: &str) -> Option<SocketAddr> {
    let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT_DEFAULT));
    text.parse().ok().or_else(bare)
}

/// Whether somebody who typed this means a file.
fn looks_like_a_path(text: &str) -> bool {
    text.contains(['/', '\\', '~', '"', '\''])
        || Path::new(text).extension().is_some_and(|end| end.eq_ignore_ascii_case("xml"))
}

/// A path as people type or paste it: with quotes, as a `file://` link, or from the home folder.
/// The path that somebody has typed or dropped.
pub fn file_path(text: &str) -> PathBuf {
    let text = text.trim_matches(['"', '\'']);
    let text = text.strip_prefix("file://").unwrap_or(text);
    if let Some(rest) = text.strip_prefix("~/")
        && let Some(dirs) = directories::UserDirs::new()
    {
        return dirs.home_dir().join(rest);
    }
    PathBuf::from(text)
}

/// Where a file is to be written, or what is wrong with the path.
pub fn save_target(text: &str) -> Result<PathBuf, &'static str> {
    match text.trim() {
        "" => Err(words::fault_save_empty()),
        path => Ok(file_path(path)),
    }
}

/// Where a file of this name goes unless the user says otherwise.
pub fn save_path_default(file: &str) -> String {
    let folder = directories::UserDirs::new()
        .map(|dirs| dirs.document_dir().unwrap_or_else(|| dirs.home_dir()).to_owned());
    folder.map_or_else(|| file.to_owned(), |folder| folder.join(file).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_called_are_told_apart() {
        assert_eq!(dial_fault("bob"), None);
        assert_eq!(dial_fault("sip:bob@smith-family"), None);
        assert_eq!(dial_fault("bob b"), Some(words::fault_dial_space()));
        assert_eq!(dial_fault("bob@"), Some(words::fault_dial_at()));
        assert_eq!(dial_fault("@x"), Some(words::fault_dial_at()));
        assert_eq!(dial_fault("a@b@c"), Some(words::fault_dial_at()));
    }

    #[test]
    fn user_and_overlay_names_are_checked_while_typing() {
        assert_eq!(user_fault(" alice "), None);
        assert_eq!(user_fault(" "), Some(words::fault_user_empty()));
        assert_eq!(user_fault("al ice"), Some(words::fault_user_signs()));
        assert_eq!(user_fault(&"a".repeat(65)), Some(words::fault_user_long()));
        assert_eq!(overlay_fault("smith-family.example"), None);
        assert_eq!(overlay_fault(""), Some(words::fault_network_empty()));
        for wrong in ["a..b", "-a", "a-", "a_b", "a b", ".a"] {
            assert_eq!(overlay_fault(wrong), Some(words::fault_network_signs()), "{wrong}");
        }
    }

    #[test]
    fn addresses_without_a_port_take_the_usual_one() {
        let two = addresses("192.0.2.7, [2001:db8::1]:7000").expect("both are addresses");
        assert_eq!(two[0].to_string(), "192.0.2.7:6084");
        assert_eq!(two[1].to_string(), "[2001:db8::1]:7000");
        assert_eq!(addresses(""), Ok(vec![]));
        assert_eq!(addresses("192.0.2.7 nowhere"), Err("nowhere"));
    }

    #[test]
    fn a_form_becomes_a_command_only_without_faults() {
        let mut form = StartForm { name: "Smith".into(), ..StartForm::default() };
        assert_eq!(form.command(), None);
        form.user = "alice".into();
        let listen = "[::]:6084".parse().expect("an address");
        let start = |kind| {
            let (name, user) = ("smith".into(), "alice".into());
            Some(Command::StartOverlay { name, user, listen, kind })
        };
        assert_eq!(form.command(), start(OverlayKind::Accounts { host: None }));
        form.host = "our house".into();
        assert_eq!((form.command(), form.host_fault()), (None, Some(words::fault_host())));
        form.host = " house.example ".into();
        let host = Some("house.example".into());
        assert_eq!(form.command(), start(OverlayKind::Accounts { host }));
        form.has_accounts = false;
        assert_eq!(form.command(), start(OverlayKind::SelfSigned));
        form.listen = "here".into();
        assert_eq!(form.command(), None);
    }

    #[test]
    fn one_field_takes_a_name_an_invitation_or_a_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("smith");
        std::fs::write(&file, "<overlay/>").expect("written");
        let entrance = |text: &str| JoinForm { entrance: text.into(), ..Default::default() };
        let entrance = |text: &str| entrance(text).entrance();
        assert_eq!(entrance(" Smith.example "), Ok(Entrance::Name("smith.example".into())));
        assert_eq!(entrance(&file.display().to_string()), Ok(Entrance::Document(file.clone())));
        let quoted = format!("\"file://{}\"", file.display());
        assert_eq!(entrance(&quoted), Ok(Entrance::Document(file)));
        let document = "ab".repeat(32);
        let link = format!("reload-invite:smith?document={document}&address=192.0.2.7:6084");
        assert_eq!(entrance(&link), Ok(Entrance::Invitation(link.clone())));
        assert_eq!(entrance(""), Err(words::fault_entrance_empty().into()));
        for missing in ["/nowhere/smith.xml", "~/smith", "smith.xml"] {
            assert_eq!(entrance(missing), Err(words::fault_document_missing().into()), "{missing}");
        }
        let cut = entrance("reload-invite:smith").expect_err("it proves nothing");
        assert!(cut.starts_with("The invitation is not complete"), "{cut}");
        assert_eq!(entrance("smith family"), Err(words::fault_network_signs().into()));
    }

    #[test]
    fn a_new_password_is_long_and_typed_twice() {
        let mut form = PasswordForm::default();
        form.password.0 = "correct".into();
        assert_eq!(form.password_fault(), Some(words::fault_password_short()));
        form.password.0 = "correct horse".into();
        assert_eq!(form.again_fault(), Some(words::fault_passwords_differ()));
        assert_eq!(form.password(), None);
        form.again.0 = "correct horse".into();
        assert_eq!(form.password(), Some(Password::new("correct horse")));
        assert!(!format!("{form:?}").contains("horse"));
    }

    #[test]
    fn a_pasted_link_is_a_path() {
        assert_eq!(file_path("file:///x/y.xml"), PathBuf::from("/x/y.xml"));
        assert_eq!(file_path("\"/x/y z.xml\""), PathBuf::from("/x/y z.xml"));
    }
}
