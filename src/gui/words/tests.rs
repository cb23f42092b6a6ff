//! What the texts say, and that all languages say the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fluent::FluentResource;

use super::language::keys;
use super::*;
use crate::phone::Language;

const FILES: [(&str, &str); 2] = [
    ("en.ftl", include_str!("../../../assets/en.ftl")),
    ("de.ftl", include_str!("../../../assets/de.ftl")),
];

#[test]
fn a_clock_shows_hours_only_when_there_are_some() {
    assert_eq!(clock(Duration::from_secs(7)), "0:07");
    assert_eq!(clock(Duration::from_secs(750)), "12:30");
    assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
}

#[test]
fn a_picture_has_at_most_two_letters() {
    assert_eq!(initials("alice@smith-family"), "A");
    assert_eq!(initials("sip:bob.van-dyk@smith"), "BV");
    assert_eq!(initials(""), "?");
}

#[test]
fn times_are_told_from_now() {
    let day = 86_400_000;
    assert_eq!(ago(10 * day, 10 * day + 5), "just now");
    assert_eq!(ago(10 * day, 10 * day - 300_000), "5 min ago");
    assert_eq!(ago(10 * day, 10 * day - 7_200_000), "2 h ago");
    assert_eq!(ago(10 * day, 9 * day), "yesterday");
    assert_eq!(ago(10 * day, 6 * day), "4 days ago");
}

#[test]
fn an_authority_is_named_after_the_overlay() {
    let said = verified(Verified::Authority, "bob@smith-family");
    assert_eq!(said, "Verified by smith-family");
}

/// What each text of a file has to be given.
fn wanted(source: &'static str) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut key = "";
    for line in source.lines() {
        key = keys(line).next().unwrap_or(key);
        let names = line.split('$').skip(1);
        let names = names.map(|rest| rest.split([' ', '}']).next().unwrap_or_default());
        wanted.entry(key).or_default().extend(names);
    }
    wanted.remove("");
    wanted
}

/// Every text exists in every language, once, and wants the same to be put in.
#[test]
fn all_languages_say_the_same_things() {
    for (name, source) in FILES {
        let read = FluentResource::try_new(source.to_owned());
        assert!(read.is_ok(), "{name}: {:?}", read.err().map(|(_, errors)| errors));
        let mut seen = BTreeSet::new();
        for key in keys(source) {
            assert!(seen.insert(key), "{name} has {key} twice");
        }
    }
    let [(_, english), (_, german)] = FILES;
    let (english, german) = (wanted(english), wanted(german));
    for key in english.keys().chain(german.keys()) {
        assert_eq!(english.get(key), german.get(key), "{key}");
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the sources");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests"))
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

/// What stands before each place where `mark` stands.
fn words_before(text: &str, mark: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let before = text
        .match_indices(mark)
        .map(|(at, _)| text[..at].rsplit(|c| !is_word(c)).next().unwrap_or_default().to_owned());
    before.collect()
}

/// No text is there that nobody sees, and none is missing that somebody would see.
#[test]
fn every_text_is_shown_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gui");
    let (mut used, mut named, mut said) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for path in sources(&root) {
        let text = fs::read_to_string(&path).expect("a source");
        used.extend(words_before(&text, "()"));
        for list in text.split("\ntexts! {").skip(1) {
            let lines = list.split("\n}").next().unwrap_or_default().lines();
            named.extend(lines.filter_map(|l| l.trim().strip_suffix(',')).map(str::to_owned));
        }
        for rest in text.split("say!(").skip(1) {
            let key = rest.trim_start().split([',', ')']).next().unwrap_or_default();
            said.insert(key.trim().to_owned());
        }
    }
    let keys: BTreeSet<String> = keys(FILES[0].1).map(str::to_owned).collect();
    said.retain(|key| !key.is_empty());
    assert!(said.len() > 50 && named.len() > 200, "the sources are where this test looks");
    let missing: Vec<_> = named.union(&said).filter(|key| !keys.contains(*key)).collect();
    assert!(missing.is_empty(), "not in en.ftl: {missing:?}");
    let unseen = keys.iter().filter(|key| !used.contains(*key) && !said.contains(*key));
    // Those are found by what they say.
    let unseen: Vec<_> = unseen.filter(|key| !key.starts_with("said_")).collect();
    assert!(unseen.is_empty(), "shown nowhere: {unseen:?}");
}

/// A name stands in a text as it is, and a number chooses its words.
#[test]
fn numbers_and_names_are_put_in() {
    assert_eq!(call_name("Zoë"), "Call Zoë");
    assert_eq!([1, 2].map(lost_calls), ["The running call ends.", "2 running calls end."]);
    choose_language(Language::German);
    assert_eq!(call_name("Zoë"), "Zoë anrufen");
    assert_eq!([1, 2].map(lost_calls), ["Der laufende Anruf endet.", "2 laufende Anrufe enden."]);
    assert_eq!(settings(), "Einstellungen");
    choose_language(Language::English);
}
