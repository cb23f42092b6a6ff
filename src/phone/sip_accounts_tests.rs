use super::*;
use crate::crypto::SealingKey;
use crate::phone::data::Data;
use crate::phone::protection::Protection;
use crate::phone::state::tests::{NOW_MS, folder};

const ALICE: &str = "alice@pstn.example";

/// What a user asks for; the password is `open sesame`.
fn account(address: &str) -> AccountFile {
    AccountFile {
        address: address.into(),
        user: None,
        password: Some("open sesame".into()),
        server: None,
        transport: None,
        register: true,
        certificates: None,
    }
}

/// Addresses and passwords.
fn accounts(state: &StateFolder) -> Vec<(String, Option<String>)> {
    let password = |account: &SipAccount| account.credentials.as_ref().map(|c| c.password.clone());
    state.sip_accounts().iter().map(|a| (a.address.to_string(), password(a))).collect()
}

fn alices() -> Vec<(String, Option<String>)> {
    vec![(ALICE.to_owned(), Some("open sesame".to_owned()))]
}

fn by_hand(state: &StateFolder, name: &str, text: &[u8]) -> PathBuf {
    let path = state.root.join(SIP).join(name);
    fs::create_dir_all(state.root.join(SIP)).expect("made");
    fs::write(&path, text).expect("written");
    path
}

fn problems(state: &StateFolder) -> Vec<String> {
    let facts = state.sip_account_facts().into_iter();
    let problems = facts.filter_map(|facts| match facts {
        SipAccountFacts::Unreadable { problem, .. } => Some(problem),
        SipAccountFacts::Account { .. } => None,
    });
    problems.collect()
}

fn password(text: &str) -> Password {
    Password::new(text)
}

fn reopened(dir: &tempfile::TempDir, state: StateFolder) -> StateFolder {
    drop(state);
    StateFolder::open(dir.path()).expect("usable")
}

/// Accounts in plain, one of them written by hand, are sealed once there is a password, and what
/// is kept afterwards is so at once. After a restart they are closed until the password is given.
#[test]
fn accounts_are_sealed_like_keys() {
    let (dir, mut state) = folder();
    state.keep_sip_account(account(ALICE)).expect("kept");
    by_hand(&state, "bob.toml", b"address = \"bob@o\" # mine\npassword = \"open sesame\"");
    let read = |name: &str| fs::read(dir.path().join(SIP).join(name)).expect("there");
    assert!(!is_sealed(&read("alice%40pstn.example.toml")), "nothing is sealed yet");
    let before = accounts(&state);
    assert_eq!(before.len(), 2);

    state.protect_by_password(&password("correct horse")).expect("sealed");
    state.keep_sip_account(account("carol@pstn.example")).expect("kept");
    for name in ["alice%40pstn.example.toml", "bob.toml", "carol%40pstn.example.toml"] {
        let bytes = read(name);
        assert!(is_sealed(&bytes), "{name}");
        assert!(!String::from_utf8_lossy(&bytes).contains("sesame"), "{name}");
    }
    assert_eq!(accounts(&state).len(), 3);

    let mut state = reopened(&dir, state);
    assert!(matches!(state.protection(), Protection::Locked { .. }));
    assert_eq!(accounts(&state), []);
    assert!(state.has_closed_sip_accounts());
    let told = problems(&state);
    assert!(told[0].contains(ALICE) && told[0].contains("unlock"), "{told:?}");
    for refused in [state.keep_sip_account(account(ALICE)), state.remove_sip_account(ALICE)] {
        assert!(refused.expect_err("locked").contains("unlock"));
    }
    state.unlock_by_password(&password("correct horse")).expect("open");
    assert!(!state.has_closed_sip_accounts());
    assert_eq!(accounts(&state).len(), 3);
    assert!(accounts(&state).contains(&before[1]));
}

/// What is kept again has the password from before unless there is another one, and what only a
/// file says stays in it. It stays in the file where it was.
#[test]
fn an_account_that_is_there_is_replaced() {
    let (_dir, state) = folder();
    let text = b"address = \"alice@PSTN.example\"\nuser = \"4711\"\npassword = \"open sesame\"\n\
                 server = \"old.example\"";
    let path = by_hand(&state, "mine.toml", text);
    let server = Some("sip.pstn.example:5061".to_owned());
    let transport = Some(SipTransport::Tls);
    let again = AccountFile { password: None, server, transport, ..account(ALICE) };
    state.keep_sip_account(again.clone()).expect("kept");
    let kept = state.sip_accounts();
    let [only] = &kept[..] else { panic!("{kept:?}") };
    let credentials = only.credentials.as_ref().expect("a password");
    assert_eq!((&*credentials.user, &*credentials.password), ("4711", "open sesame"));
    assert_eq!((&*only.server, only.transport), ("sip.pstn.example:5061", transport));
    assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("there").count(), 1);

    let new = AccountFile { password: Some("another".into()), ..again };
    state.keep_sip_account(new).expect("kept");
    assert_eq!(accounts(&state), [(ALICE.to_owned(), Some("another".to_owned()))]);
    state.remove_sip_account("alice@pstn.EXAMPLE").expect("removed");
    assert_eq!(state.sip_account_facts(), []);
    assert!(state.remove_sip_account(ALICE).expect_err("gone").contains(ALICE));
}

/// What can't be an account is one sentence, and what is there stays as it was.
#[test]
fn what_is_no_account_is_told_and_loses_nothing() {
    let (_dir, state) = folder();
    state.keep_sip_account(account(ALICE)).expect("kept");
    let with_server = |server: &str| AccountFile { server: Some(server.into()), ..account(ALICE) };
    let long = "a".repeat(300);
    for (wrong, word) in [
        (account("alice"), "alice is no address"),
        (account(""), "no address"),
        (with_server("our house"), "our house is no name or address"),
        (account(&format!("{long}@pstn.example")), "too long"),
        (AccountFile { password: Some("x".repeat(20_000)), ..account(ALICE) }, "too long"),
    ] {
        let sentence = state.keep_sip_account(wrong).expect_err(word);
        assert!(sentence.contains(word) && sentence.ends_with('.'), "{sentence}");
        assert_eq!(accounts(&state), alices());
    }
    let job = r#"{"keep":{"address":"a@o","transport":"pigeon"}}"#;
    let error = serde_json::from_str::<SipAccountJob>(job).expect_err("unknown").to_string();
    assert!(error.contains("pigeon") && error.contains("tls"), "{error}");
}

/// A file that is wrong or damaged is told with what to do, hides no other, is mended by hand in
/// plain, and is set aside when the account of its name is kept anew.
#[test]
fn a_file_that_is_no_account_is_told() {
    let (dir, mut state) = folder();
    let wrong = by_hand(&state, "wrong.toml", b"addres = \"alice@o\"");
    by_hand(&state, "notes.txt", b"not ours");
    state.keep_sip_account(account(ALICE)).expect("kept");
    state.protect_by_password(&password("correct horse")).expect("sealed");
    assert_eq!(fs::read(&wrong).expect("there"), b"addres = \"alice@o\"", "still mendable");
    let told = problems(&state);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("wrong.toml") && told[0].contains("addres"), "{told:?}");
    assert!(told[0].contains("mend or delete"), "{told:?}");
    assert_eq!(accounts(&state), alices());

    let path = dir.path().join(SIP).join("alice%40pstn.example.toml");
    let mut damaged = fs::read(&path).expect("there");
    damaged.truncate(60);
    fs::write(&path, &damaged).expect("written");
    assert!(problems(&state)[0].contains("damaged"), "{:?}", problems(&state));
    assert_eq!(state.sip_account_facts()[0].address(), Some(ALICE));
    state.keep_sip_account(account(ALICE)).expect("kept anew");
    assert_eq!(accounts(&state), alices());
    assert_eq!(fs::read(path.with_extension("toml.bad")).expect("aside"), damaged);

    fs::write(&path, &damaged).expect("written");
    state.remove_sip_account(ALICE).expect("removed by its name");
    assert!(!path.exists());
}

/// A file that somebody has renamed to what would be another account's is not overwritten.
#[test]
fn the_file_of_another_account_is_not_overwritten() {
    let (_dir, state) = folder();
    by_hand(&state, "alice%40pstn.example.toml", b"address = \"bob@o\"");
    let sentence = state.keep_sip_account(account(ALICE)).expect_err("refused");
    assert!(sentence.contains("bob@o") && sentence.contains("rename"), "{sentence}");
    assert_eq!(accounts(&state), [("bob@o".to_owned(), None)]);
}

#[test]
fn there_is_room_for_so_many() {
    let (_dir, state) = folder();
    for number in 0..ACCOUNTS_MAX {
        state.keep_sip_account(account(&format!("{number}@pstn.example"))).expect("kept");
    }
    let sentence = state.keep_sip_account(account(ALICE)).expect_err("full");
    assert!(sentence.contains("room"), "{sentence}");
    state.keep_sip_account(account("7@pstn.example")).expect("that is there");
}

fn data(state: &StateFolder) -> Data {
    state.data(0).expect("opened").0
}

/// A folder with an account, and its backup under `correct horse`.
fn backed_up() -> (tempfile::TempDir, StateFolder, PathBuf) {
    let (dir, mut state) = folder();
    state.protect_by_password(&password("battery staple")).expect("sealed");
    state.keep_sip_account(account(ALICE)).expect("kept");
    by_hand(&state, "wrong.toml", b"addres");
    let path = dir.path().join("alice.backup");
    let done = state.back_up(&data(&state), &path, &password("correct horse"), NOW_MS);
    done.expect("backed up");
    (dir, state, path)
}

/// Another machine has the account afterwards, sealed there; one that is there stays as it is.
#[test]
fn a_backup_brings_accounts_back() {
    let (_dir, _state, path) = backed_up();
    let (other_dir, mut other) = folder();
    other.protect_by_password(&password("something else")).expect("sealed");
    let data = data(&other);
    for _ in 0..2 {
        other.restore(&data, &path, &password("correct horse")).expect("restored");
        assert_eq!(accounts(&other), alices());
    }
    let file = other_dir.path().join(SIP).join("alice%40pstn.example.toml");
    assert!(is_sealed(&fs::read(file).expect("there")));
    let new = AccountFile { password: Some("another".into()), ..account(ALICE) };
    other.keep_sip_account(new).expect("kept");
    other.restore(&data, &path, &password("correct horse")).expect("restored");
    assert_eq!(accounts(&other), [(ALICE.to_owned(), Some("another".to_owned()))]);

    let mut locked = reopened(&other_dir, other);
    let refused = locked.restore(&data, &path, &password("correct horse")).expect_err("locked");
    assert!(matches!(refused, StateError::Locked), "{refused}");
    let again = locked.back_up(&data, &path, &password("correct horse"), NOW_MS);
    assert!(matches!(again, Err(StateError::Locked)), "no backup without them");
}

/// Where nothing is sealed the account comes back without its password.
#[test]
fn nothing_secret_is_restored_in_plain() {
    let (_dir, _state, path) = backed_up();
    let (other_dir, mut other) = folder();
    other.restore(&data(&other), &path, &password("correct horse")).expect("restored");
    assert_eq!(accounts(&other), [(ALICE.to_owned(), None)]);
    let file = other_dir.path().join(SIP).join("alice%40pstn.example.toml");
    assert!(!fs::read_to_string(file).expect("text").contains("sesame"));
}

/// A backup from before there were accounts in it restores; one whose account is none is damaged
/// and changes nothing.
#[test]
fn older_and_damaged_backups() {
    let (_dir, state, path) = backed_up();
    let rewritten = |change: &dyn Fn(&mut serde_json::Value)| {
        let sealed = fs::read(&path).expect("there");
        let text = password("correct horse").open("backup", &sealed).expect("open");
        let mut archive: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(archive["sip_accounts"].as_array().map(Vec::len), Some(1));
        change(&mut archive);
        let text = serde_json::to_vec(&archive).expect("JSON");
        let path = state.root.join("changed.backup");
        let sealed = password("correct horse").seal("backup", &text).expect("sealed");
        fs::write(&path, sealed).expect("written");
        path
    };
    let (_other_dir, mut other) = folder();
    let data = data(&other);
    let damaged = rewritten(&|archive| archive["sip_accounts"] = serde_json::json!(["YWRkcmVz"]));
    let error = other.restore(&data, &damaged, &password("correct horse")).expect_err("damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
    let older = rewritten(&|archive| {
        archive.as_object_mut().expect("an object").remove("sip_accounts");
    });
    other.restore(&data, &older, &password("correct horse")).expect("restored");
    assert_eq!(other.sip_account_facts(), []);
}

/// A file that was sealed in another folder, or by another key, is damaged here.
#[test]
fn a_sealed_file_from_elsewhere_is_told() {
    let (_dir, state) = folder();
    let key = SealingKey::generate().expect("random");
    let sealed = key.seal("sip/x.toml", b"address = \"x@o\"").expect("sealed");
    by_hand(&state, "x.toml", &sealed);
    let told = problems(&state);
    assert!(told[0].contains("vault.toml"), "{told:?}");
    assert_eq!(accounts(&state), []);
}
