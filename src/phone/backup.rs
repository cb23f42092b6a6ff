//! One encrypted file with all that makes a user of overlays: documents, certificates and private
//! keys, the authorities and accounts of overlays that are run here, ordinary accounts, what the
//! phone remembers, and the settings.
//!
//! Restoring first reads everything and compares it with what is here; only then the first file
//! is written. Whatever stops it in the middle, doing it again completes it.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::api::Settings;
use super::backup_hosts::{ArchivedHost, of_host};
use super::data::{Data, Memories};
use super::state::{
    ACCOUNT, CERTIFICATE, DOCUMENT, KEY, OVERLAYS, StateError, StateFolder, folder_name,
    read_bounded, user_of_folder, write_private,
};
use crate::config::OverlayName;
use crate::crypto::{Password, Secret, VaultError, is_sealed};

/// Whether there is a backup of our identities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// When the last one was made, milliseconds since the Unix epoch.
    pub made_unix_ms: Option<u64>,
    /// Whether it has every identity of ours.
    pub is_complete: bool,
}

/// What was in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Overlay and user of each identity.
    pub users: Vec<(String, String)>,
    /// When it was made, milliseconds since the Unix epoch.
    pub made_unix_ms: u64,
}

impl Restored {
    /// The Address of Record of each identity.
    pub fn aors(&self) -> Vec<String> {
        self.users.iter().map(|(overlay, user)| format!("{user}@{overlay}")).collect()
    }
}

/// What is sealed in the file, as JSON.
#[derive(Serialize, Deserialize)]
struct Archive {
    made_unix_ms: u64,
    settings: Settings,
    overlays: Vec<ArchivedOverlay>,
    memories: Memories,
    #[serde(default)]
    hosted: Vec<ArchivedHost>,
    /// The files of ordinary accounts, in plain.
    #[serde(default)]
    sip_accounts: Vec<Base64>,
}

#[derive(Serialize, Deserialize)]
struct ArchivedOverlay {
    name: String,
    /// The document to the byte.
    document: Option<Base64>,
    users: Vec<ArchivedUser>,
}

#[derive(Serialize, Deserialize)]
struct ArchivedUser {
    name: String,
    key: Base64,
    certificate: Option<Base64>,
    /// What the enrollment server knows the user by.
    account: Option<Base64>,
}

/// Bytes, as JSON has them.
#[derive(Serialize, Deserialize)]
pub(super) struct Base64(String);

impl Base64 {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(&self.0).ok()
    }
}

/// A file to be written, once all of them are known.
pub(super) struct NewFile {
    pub(super) place: PathBuf,
    pub(super) bytes: Secret,
    pub(super) is_secret: bool,
}

impl StateFolder {
    /// Who has a private key here: overlay and user.
    pub fn users(&self) -> Vec<(String, String)> {
        let folders = self.user_folders().into_iter();
        let folders = folders.filter(|(overlay, user)| {
            self.root.join(OVERLAYS).join(overlay).join(user).join(KEY).is_file()
        });
        folders.filter_map(|(overlay, user)| Some((overlay, user_of_folder(&user)?))).collect()
    }

    /// Whether there is a backup of every identity here.
    pub fn backup_state(&self, data: &Data) -> Backup {
        let (made_unix_ms, users) = data.backed_up().unwrap_or_default();
        let hosted = self.hosted_overlays().into_iter().map(of_host);
        let is_complete = self.users().into_iter().chain(hosted).all(|user| users.contains(&user));
        Backup { made_unix_ms, is_complete }
    }

    /// Writes everything to one encrypted file. An older backup there is replaced, another file is
    /// not. A fifth of a second.
    ///
    /// # Errors
    /// Keys are locked, the password is too short, or a file can't be read or written.
    pub fn back_up(
        &self,
        data: &Data,
        path: &Path,
        password: &Password,
        unix_ms: u64,
    ) -> Result<(), StateError> {
        if !password.is_long_enough() {
            return Err(StateError::PasswordShort);
        }
        let users = self.users();
        let overlays = self.archived_overlays(&users)?;
        let (settings, _) = self.settings();
        let memories = data.memories().map_err(|e| StateError::Database(e.to_string()))?;
        let hosted = self.archived_hosts(data)?;
        let in_it: Vec<_> = hosted.iter().map(|host| of_host(host.name.clone())).collect();
        let sip_accounts = self.archived_sip_accounts()?;
        let made_unix_ms = unix_ms;
        let archive = Archive { made_unix_ms, settings, overlays, memories, hosted, sip_accounts };
        let refused = |reason: String| StateError::Backup { path: path.to_path_buf(), reason };
        let text = serde_json::to_vec(&archive).map_err(|e| refused(e.to_string()))?;
        let sealed =
            password.seal(PLACE, &Secret::new(text)).map_err(|e| refused(e.to_string()))?;
        if sealed.len() as u64 > BACKUP_BYTES_MAX {
            return Err(refused("there is too much to keep in one file".to_owned()));
        }
        if path.exists()
            && !read_bounded(path, BACKUP_BYTES_MAX, "a backup")
                .is_ok_and(|bytes| is_sealed(&bytes))
        {
            return Err(refused("another file is there, which is not overwritten".to_owned()));
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        write_private(Path::new(&temporary), &sealed)
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(|e| StateError::file(path, &e))?;
        let remembered = data.set_backed_up(unix_ms, &[users, in_it].concat());
        remembered.map_err(|e| StateError::Database(e.to_string()))
    }

    /// Brings back what is in a backup and not here. A fifth of a second.
    ///
    /// # Errors
    /// The file or the password is wrong, keys are locked, or there is another identity of the
    /// same name: nothing has changed then. Or a file can't be written: once it can, the same
    /// command completes the work.
    pub fn restore(
        &mut self,
        data: &Data,
        path: &Path,
        password: &Password,
    ) -> Result<Restored, StateError> {
        let refused = |reason: String| StateError::Backup { path: path.to_path_buf(), reason };
        let sealed = read_bounded(path, BACKUP_BYTES_MAX, "a backup")
            .map_err(|e| StateError::file(path, &e))?;
        let text = match password.open(PLACE, &sealed) {
            Err(VaultError::Foreign) => return Err(refused("it is no backup".to_owned())),
            opened => opened.map_err(|error| refused(error.to_string()))?,
        };
        let archive: Archive =
            serde_json::from_slice(&text).map_err(|_| refused(VaultError::Damaged.to_string()))?;
        let mut users = Vec::new();
        let mut files = Vec::new();
        for overlay in &archive.overlays {
            users.extend(overlay.users.iter().map(|u| (overlay.name.clone(), u.name.clone())));
            let found = self.files_of(overlay)?;
            files.extend(found.ok_or_else(|| refused(VaultError::Damaged.to_string()))?);
        }
        let sip_accounts = self.new_sip_accounts(&archive.sip_accounts)?;
        files.extend(sip_accounts.ok_or_else(|| refused(VaultError::Damaged.to_string()))?);
        let hosts = self.new_hosts(&archive.hosted)?;
        let hosts = hosts.ok_or_else(|| refused(VaultError::Damaged.to_string()))?;
        for (folder, database, key) in hosts {
            folder.put_back(&database, key.as_ref())?;
        }
        for NewFile { place, bytes, is_secret } in files {
            let sealed = if is_secret { self.seal(&place, &bytes)? } else { bytes.to_vec() };
            self.write(&place, &sealed)?;
        }
        if !self.has_settings() {
            self.save_settings(&archive.settings)?;
        }
        let database = |e: rusqlite::Error| StateError::Database(e.to_string());
        data.add_memories(&archive.memories).map_err(database)?;
        for host in &archive.hosted {
            data.add_hosted(&host.row()).map_err(database)?;
        }
        let hosted = archive.hosted.iter().map(|host| of_host(host.name.clone()));
        let in_it: Vec<_> = users.iter().cloned().chain(hosted).collect();
        data.set_backed_up(archive.made_unix_ms, &in_it).map_err(database)?;
        Ok(Restored { users, made_unix_ms: archive.made_unix_ms })
    }

    fn archived_overlays(
        &self,
        users: &[(String, String)],
    ) -> Result<Vec<ArchivedOverlay>, StateError> {
        let mut overlays: Vec<ArchivedOverlay> = Vec::new();
        for (overlay, user) in users {
            let folder = Path::new(OVERLAYS).join(overlay);
            if overlays.last().is_none_or(|last| last.name != *overlay) {
                let document = self.read(&folder.join(DOCUMENT))?;
                let document = document.map(|bytes| Base64::new(&bytes));
                overlays.push(ArchivedOverlay { name: overlay.clone(), document, users: vec![] });
            }
            let folder = folder.join(folder_name(user));
            let (key, certificate) = (folder.join(KEY), folder.join(CERTIFICATE));
            let Some(bytes) = self.read(&key)? else { continue };
            let key = Base64::new(&self.unseal(&key, bytes)?);
            let certificate = self.read(&certificate)?.map(|bytes| Base64::new(&bytes));
            let account = folder.join(ACCOUNT);
            let account = match self.read(&account)? {
                Some(bytes) => Some(Base64::new(&self.unseal(&account, bytes)?)),
                None => None,
            };
            let archived = ArchivedUser { name: user.clone(), key, certificate, account };
            if let Some(overlay) = overlays.last_mut() {
                overlay.users.push(archived);
            }
        }
        Ok(overlays)
    }

    /// What is to be written for an overlay; `None` if the archive is damaged.
    fn files_of(&self, overlay: &ArchivedOverlay) -> Result<Option<Vec<NewFile>>, StateError> {
        let Ok(name) = OverlayName::new(&overlay.name) else { return Ok(None) };
        let folder = Path::new(OVERLAYS).join(name.as_str());
        let mut files = Vec::new();
        let mut add = |place: PathBuf, bytes: &Base64, is_secret| {
            let decoded = BASE64_STANDARD.decode(&bytes.0).ok();
            let is_good = decoded.is_some();
            files.extend(decoded.map(|b| NewFile { place, bytes: Secret::new(b), is_secret }));
            is_good
        };
        let document = folder.join(DOCUMENT);
        let mut is_good = true;
        if let (Some(bytes), None) = (&overlay.document, self.read(&document)?) {
            is_good &= add(document, bytes, false);
        }
        for user in &overlay.users {
            is_good &= !user.name.is_empty();
            let folder = folder.join(folder_name(&user.name));
            let (key, certificate) = (folder.join(KEY), folder.join(CERTIFICATE));
            if let Some(bytes) = self.read(&key)? {
                let ours = self.unseal(&key, bytes)?;
                let theirs = BASE64_STANDARD.decode(&user.key.0).map(Secret::new);
                if theirs.ok().as_ref() != Some(&ours) {
                    let aor = format!("{}@{}", user.name, overlay.name);
                    return Err(StateError::IdentityThere(aor));
                }
            } else {
                is_good &= add(key, &user.key, true);
            }
            if let (Some(bytes), None) = (&user.certificate, self.read(&certificate)?) {
                is_good &= add(certificate, bytes, false);
            }
            // Where nothing is sealed, no password is kept.
            let account = folder.join(ACCOUNT);
            if let (Some(bytes), None, true) =
                (&user.account, self.read(&account)?, self.is_sealing())
            {
                is_good &= add(account, bytes, true);
            }
        }
        Ok(is_good.then_some(files))
    }
}

/// What a backup is sealed for.
const PLACE: &str = "backup";

// limits

/// A thousand calls and a hundred overlays with the largest document and five users each.
const BACKUP_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OverlayConfig, SignedConfig};
    use crate::phone::Theme;
    use crate::phone::state::tests::{NOW_MS, folder, provider};

    fn password() -> Password {
        Password::new("correct horse")
    }

    fn data(state: &StateFolder) -> Data {
        state.data(0).expect("opened").0
    }

    /// A folder with alice's identity, a document, a call, a key seen and settings; and her backup.
    fn backed_up() -> (tempfile::TempDir, StateFolder, PathBuf) {
        let (dir, state) = folder();
        let data = data(&state);
        state.identity(&provider(), "alice", NOW_MS).expect("made");
        assert_eq!(state.backup_state(&data), Backup::default());
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let document = SignedConfig::unsigned(&config).expect("written");
        state.save_document(&document).expect("saved");
        state
            .save_settings(&Settings { theme: Theme::Dark, ..Settings::default() })
            .expect("saved");
        data.judge_key("example.org", "bob@example.org", "aa", 7).expect("remembered");
        data.set_last("example.org", "alice").expect("remembered");
        let path = dir.path().join("alice.backup");
        state.back_up(&data, &path, &password(), NOW_MS).expect("backed up");
        let made = Backup { made_unix_ms: Some(NOW_MS), is_complete: true };
        assert_eq!(state.backup_state(&data), made);
        (dir, state, path)
    }

    /// What a folder holds, by path.
    fn contents(dir: &tempfile::TempDir) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![dir.path().to_path_buf()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => files.push((path.clone(), fs::read(path).expect("a file"))),
                }
            }
        }
        files.sort();
        files
    }

    /// Another machine, even one whose keys are sealed, has the same name, Node-ID and memory
    /// afterwards. Doing it twice changes nothing.
    #[test]
    fn a_backup_makes_another_machine_the_same_user() {
        let (_dir, state, path) = backed_up();
        let (other_dir, mut other) = folder();
        other.protect_by_password(&Password::new("battery staple")).expect("sealed");
        let data = data(&other);
        for _ in 0..2 {
            let restored = other.restore(&data, &path, &password()).expect("restored");
            assert_eq!(restored.aors(), ["alice@example.org"]);
        }
        let here = state.identity(&provider(), "alice", NOW_MS).expect("kept");
        let there = other.identity(&provider(), "alice", NOW_MS).expect("restored");
        assert_eq!(here.identity.node_id, there.identity.node_id);
        assert_eq!(here.keys.certificate_der, there.keys.certificate_der);
        let key = other_dir.path().join("overlays/example.org/alice/key.der");
        assert!(is_sealed(&fs::read(key).expect("there")));
        assert_eq!(other.document("example.org").expect("there").config.sequence, 1);
        assert_eq!(other.settings().0.theme, Theme::Dark);
        assert_eq!(data.memories(), super::tests::data(&state).memories());
        assert!(other.backup_state(&data).is_complete);
    }

    /// A new identity is in no backup yet.
    #[test]
    fn a_backup_is_incomplete_once_there_is_more() {
        let (_dir, state, _) = backed_up();
        state.identity(&provider(), "bob", NOW_MS).expect("made");
        let state = state.backup_state(&data(&state));
        assert_eq!(state, Backup { made_unix_ms: Some(NOW_MS), is_complete: false });
    }

    /// A wrong password, a damaged file and one that is no backup are a sentence each.
    #[test]
    fn what_is_no_good_backup_changes_nothing() {
        let (_dir, _state, path) = backed_up();
        let (other_dir, mut other) = folder();
        let data = data(&other);
        let before = contents(&other_dir);
        let good = fs::read(&path).expect("there");
        let mut damaged = good.clone();
        damaged[good.len() / 2] ^= 1;
        let foreign = password().seal("elsewhere", b"{}").expect("sealed");
        let no_archive = password().seal(PLACE, b"{}").expect("sealed");
        for (bytes, typed, word) in [
            (good.clone(), "correct house", "password is wrong"),
            (damaged, "correct horse", "damaged"),
            (good[..good.len() - 1].to_vec(), "correct horse", "damaged"),
            (b"<xml/>".to_vec(), "correct horse", "no backup"),
            (foreign, "correct horse", "wrong"),
            (no_archive, "correct horse", "damaged"),
        ] {
            fs::write(&path, bytes).expect("written");
            let error = other.restore(&data, &path, &Password::new(typed)).expect_err(word);
            let error = error.to_string();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
        assert_eq!(contents(&other_dir), before);
    }

    /// Names in a backup that would lead out of the folder are refused before anything is written.
    #[test]
    fn a_backup_stays_inside_the_folder() {
        let (other_dir, mut other) = folder();
        let data = data(&other);
        let before = contents(&other_dir);
        for overlay in ["../../x", "/etc", "", ".."] {
            let user = ArchivedUser {
                name: "../../alice".into(),
                key: Base64::new(b"key"),
                certificate: None,
                account: None,
            };
            let overlay =
                ArchivedOverlay { name: overlay.into(), document: None, users: vec![user] };
            let archive = Archive {
                made_unix_ms: 0,
                settings: Settings::default(),
                overlays: vec![overlay],
                memories: Memories::default(),
                hosted: Vec::new(),
                sip_accounts: Vec::new(),
            };
            let text = serde_json::to_vec(&archive).expect("JSON");
            let path = other_dir.path().with_extension("backup");
            fs::write(&path, password().seal(PLACE, &text).expect("sealed")).expect("written");
            let error = other.restore(&data, &path, &password()).expect_err("refused").to_string();
            fs::remove_file(&path).expect("there");
            assert!(error.contains("damaged"), "{error}");
        }
        assert_eq!(contents(&other_dir), before);
    }

    /// Another key under the same name would make somebody else of the user here.
    #[test]
    fn an_identity_that_is_there_is_never_overwritten() {
        let (_dir, _state, path) = backed_up();
        let (other_dir, mut other) = folder();
        let own = other.identity(&provider(), "alice", NOW_MS).expect("made");
        let data = data(&other);
        let before = contents(&other_dir);
        let error = other.restore(&data, &path, &password()).expect_err("refused").to_string();
        assert!(error.contains("alice@example.org") && error.contains("nothing"), "{error}");
        assert_eq!(contents(&other_dir), before);
        let kept = other.identity(&provider(), "alice", NOW_MS).expect("kept");
        assert_eq!(kept.identity.node_id, own.identity.node_id);
    }

    /// The computer stopped after the key and before the rest: the same command completes it.
    #[test]
    fn a_restoring_that_was_cut_short_is_completed() {
        let (_dir, state, path) = backed_up();
        let (other_dir, mut other) = folder();
        let data = data(&other);
        other.restore(&data, &path, &password()).expect("restored");
        let overlay = other_dir.path().join("overlays/example.org");
        fs::remove_file(overlay.join("alice/certificate.der")).expect("there");
        fs::remove_file(overlay.join("document.xml")).expect("there");
        other.restore(&data, &path, &password()).expect("restored");
        let here = state.identity(&provider(), "alice", NOW_MS).expect("kept");
        let there = other.identity(&provider(), "alice", NOW_MS).expect("restored");
        assert_eq!(here.identity.node_id, there.identity.node_id);
        assert!(overlay.join("document.xml").is_file());
    }

    /// A backup replaces an older one, and nothing else; its password is no short one.
    #[test]
    fn a_backup_replaces_backups_only() {
        let (dir, state, path) = backed_up();
        let data = data(&state);
        state.back_up(&data, &path, &password(), NOW_MS + 1).expect("replaced");
        let letter = dir.path().join("letter.txt");
        fs::write(&letter, b"dear bob").expect("written");
        let error = state.back_up(&data, &letter, &password(), NOW_MS).expect_err("refused");
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(fs::read(&letter).expect("there"), b"dear bob");
        let short = state.back_up(&data, &path, &Password::new("short"), NOW_MS);
        assert!(matches!(short, Err(StateError::PasswordShort)));
    }
}
