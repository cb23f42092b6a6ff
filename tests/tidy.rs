//! The house's rules, read from its own sources: ranks, sizes, purity, citations and the map.
//!
//! A rule is a function from text to complaints, so that each has a test of its own that it can
//! fail. What a rule would make worse stands in [`EXCEPTIONS`] with the reason beside it.

#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;

use source::{code_only, is_word, none, read, root, sources, word};

/// A room imports only from rooms of a lower rank. `lib.rs` shows the same numbers.
const RANKS: &[(&str, u8)] = &[
    ("base", 0),
    ("crypto", 1),
    ("message", 2),
    ("config", 2),
    ("sip", 2),
    ("media", 2),
    ("routing", 3),
    ("storage", 3),
    ("usage", 4),
    ("peer", 5),
    ("link", 6),
    ("enroll", 6),
    ("phone", 7),
    ("gui", 8),
    ("cli", 8),
    ("adapter", 8),
    ("sim", 8),
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
/// Rows without a test in one line of the table.
const MISSING_IN_LINE: usize = 6;

/// `(file, what, reason)`, where `what` is `lines`, `columns` or `fn NAME`.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("src/lib.rs", "columns", "the rows of the map's table cannot be broken")];

/// Sources that take time and bytes as input and give actions back.
const PURE: &[&str] = &[
    "src/base/",
    "src/crypto/",
    "src/message/",
    "src/config/",
    "src/sip/",
    "src/routing/",
    "src/storage/",
    "src/usage/",
    "src/peer/",
    "src/media/jitter",
    "src/link/framing",
    "src/link/reliability",
];

/// What would make a pure room depend on the moment or the machine that it runs on.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "tokio::",
    "rand::rng",
    "thread_rng",
    "thread::spawn",
    "thread::sleep",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Mutex<",
    "RwLock<",
    // No seed decides the order in which these give back what they hold.
    "HashMap",
    "HashSet",
];

/// Marks of unfinished work. They are put together here so that this file is free of them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
];

/// What reads certificates and checks or makes signatures in every build. Anything else that does
/// is compiled with the feature `sim` alone.
const SIGNATURES: &[(&str, &str)] = &[
    ("src/crypto/x509.rs", "Provider for X509Provider"),
    ("src/crypto/identity.rs", "Signer for EcdsaSigner"),
];

/// Rooms between a message and the check of its signature, and what could be a switch there.
const SIGNED: &[&str] =
    &["src/crypto/", "src/message/", "src/routing/", "src/storage/", "src/peer/", "src/link/"];
const SWITCHES: &[&str] = &["cfg!(", "debug_assertions", "cfg(not(", "env::var"];

const CONFORMANCE: &str = "tests/conformance.md";
const THIS_FILE: &str = "tests/tidy.rs";

#[test]
fn rooms_import_only_from_below() {
    let sources = sources(&["src"]);
    let paths: Vec<&str> = sources.keys().map(String::as_str).collect();
    none(sources.iter().flat_map(|(path, text)| bad_imports(path, text, &paths)));
}

#[test]
fn files_functions_and_lines_are_short() {
    let sources = sources(&["src", "tests"]);
    let long: Vec<_> = sources.iter().flat_map(|(path, text)| too_long(path, text)).collect();
    none(without_exceptions(long, EXCEPTIONS));
}

#[test]
fn pure_rooms_have_no_clock_no_task_and_no_chance() {
    none(sources(&["src"]).iter().flat_map(|(path, text)| impurities(path, text)));
}

/// R6940-13.3-01: no build without the feature `sim` has anything that takes a message or a value
/// without a signature.
#[test]
fn only_simulations_do_without_signatures() {
    let sources = sources(&["src"]);
    none(sources.iter().flat_map(|(path, text)| unsigned(path, text, &sources)));
    for (path, implementation) in SIGNATURES {
        assert!(code_only(&sources[*path]).contains(implementation), "{implementation} is gone");
    }
}

/// R7890-2.5-02, R6940-6.3.4-16: multicast is a hint to the way in. Nothing of RELOAD is sent or
/// heard by it, and whoever looks somebody up has nothing to do with it.
#[test]
fn multicast_is_for_the_way_in_alone() {
    let sources = sources(&["src"]);
    let users = |what: &str| -> Vec<&str> {
        let uses = sources.iter().filter(|(_, text)| code_only(text).contains(what));
        uses.map(|(path, _)| path.as_str()).filter(|path| !path.contains("/tests/")).collect()
    };
    assert_eq!(users("mdns_sd"), ["src/enroll/lan.rs"]);
    assert_eq!(users("join_multicast"), [""; 0]);
    let seekers = ["enroll/find/mod.rs", "enroll/lan.rs", "enroll/mod.rs", "phone/search.rs"];
    assert_eq!(users("LanPeers"), seekers.map(|path| format!("src/{path}")));
}

#[test]
fn nothing_is_left_unfinished() {
    let mut files = read(&["src", "tests", "packaging"], &["rs", "sh"]);
    files.remove(THIS_FILE);
    none(files.iter().flat_map(|(path, text)| unfinished(path, text)));
}

#[test]
fn cited_rows_exist() {
    let conformance = fs::read_to_string(root().join(CONFORMANCE)).expect("the list of rows");
    let areas = areas(&conformance);
    let mut files = sources(&["src", "tests"]);
    files.remove(THIS_FILE);
    let known: BTreeSet<&str> = areas.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    none(files.iter().flat_map(|(path, text)| unknown_rows(path, text, &known)));
    let tested: BTreeSet<&str> =
        files.iter().flat_map(|(path, text)| citations(tests_of(path, text))).collect();
    let table = format!("\nrows of {CONFORMANCE}:\n{}", coverage(&areas, &tested));
    // Not by `print!`, which shows nothing of a test that passes.
    std::io::stdout().write_all(table.as_bytes()).expect("somebody reads");
}

#[test]
fn the_map_shows_every_room() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("the map");
    let rooms: Vec<String> = fs::read_dir(root().join("src"))
        .expect("the sources")
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    assert!(rooms.len() > 5, "the sources are where this test looks for them");
    none(bad_map(&lib, &rooms));
}

// The rules.

fn bad_imports(path: &str, text: &str, paths: &[&str]) -> Vec<String> {
    let Some(room) = path.strip_prefix("src/").and_then(|p| p.split_once('/')).map(|(r, _)| r)
    else {
        return Vec::new();
    };
    let Some(own) = rank(room) else { return vec![format!("{path}: {room} has no rank")] };
    let code = code_only(text);
    let mut complaints = Vec::new();
    let climbed = super_paths(path, &code).into_iter().filter(|name| {
        // A room may have a module with the name of another room, as `sip` has `message`.
        let own = format!("src/{room}/{name}");
        !paths.iter().any(|p| p.strip_prefix(&own).is_some_and(|p| p.starts_with(['.', '/'])))
    });
    for other in crate_paths(&code).into_iter().chain(climbed) {
        match rank(&other) {
            None => complaints.push(format!("{path}: crate::{other} is no room")),
            Some(rank) if other != room && rank >= own => complaints.push(format!(
                "{path}: {room} (rank {own}) imports {other} (rank {rank}), which is not below it"
            )),
            Some(_) => {}
        }
    }
    complaints
}

/// The first names after `crate::`, each member of a group counted.
fn crate_paths(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(word(rest).to_owned());
            continue;
        };
        let mut depth = 0;
        let mut first = true;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                c if first && is_word(c) => {
                    names.push(word(&group[i..]).to_owned());
                    first = false;
                }
                _ => {}
            }
        }
    }
    // `crate::*` and `crate::{self}` name the root, which has nothing of its own.
    names.retain(|name| name != "self");
    names
}

/// Rooms reached by climbing over the room's own root, as in `super::super::peer`.
fn super_paths(path: &str, code: &str) -> Vec<String> {
    let folders = path.split('/').count() - 2;
    let depth = if path.ends_with("/mod.rs") { folders } else { folders + 1 };
    let climb = "super::".repeat(depth);
    let climbs = code.match_indices(&climb).map(|(at, _)| word(&code[at + climb.len()..]));
    climbs.filter(|name| rank(name).is_some()).map(str::to_owned).collect()
}

fn too_long(path: &str, text: &str) -> Vec<(String, String, usize)> {
    let mut found = Vec::new();
    let mut complain = |what: String, count, max| {
        if count > max {
            found.push((path.to_owned(), what, count));
        }
    };
    complain("lines".into(), text.lines().count(), FILE_LINES_MAX);
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    complain("columns".into(), widest, COLUMNS_MAX);
    for (name, lines) in functions(&code_only(text)) {
        complain(format!("fn {name}"), lines, FUNCTION_LINES_MAX);
    }
    found
}

/// The name of each function and its lines, from `fn` to the closing brace.
fn functions(code: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name = word(&code[at + 3..]);
        if code[..at].ends_with(is_word) || name.is_empty() {
            continue;
        }
        let (mut brackets, mut braces) = (0, 0);
        for (i, c) in code[at..].char_indices() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                '{' => braces += 1,
                '}' => braces -= 1,
                ';' if brackets == 0 && braces == 0 => break,
                _ => continue,
            }
            if c == '}' && braces == 0 && brackets == 0 {
                found.push((name, code[at..=at + i].lines().count()));
                break;
            }
        }
    }
    found
}

fn without_exceptions(
    found: Vec<(String, String, usize)>,
    exceptions: &[(&str, &str, &str)],
) -> Vec<String> {
    let excused = |path: &str, what: &str| {
        exceptions.iter().any(|(p, w, reason)| *p == path && *w == what && !reason.is_empty())
    };
    let stale = exceptions
        .iter()
        .filter(|(path, what, _)| !found.iter().any(|(p, w, _)| p == path && w == what));
    let stale = stale.map(|(path, what, _)| format!("{path}: {what} needs no exception any more"));
    let long = found.iter().filter(|(path, what, _)| !excused(path, what));
    long.map(|(path, what, count)| format!("{path}: {what} is {count} long")).chain(stale).collect()
}

fn impurities(path: &str, text: &str) -> Vec<String> {
    if !PURE.iter().any(|pure| path.starts_with(pure)) {
        return Vec::new();
    }
    let code = code_only(text);
    let found = IMPURE.iter().filter(|impure| code.contains(**impure));
    found.map(|impure| format!("{path}: {impure} in a pure room")).collect()
}

fn unsigned(path: &str, text: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let product = text.strip_suffix(tests_of(path, text)).unwrap_or(text);
    let code = code_only(product);
    let mut complaints = Vec::new();
    for kind in ["Provider for ", "Signer for "] {
        for (at, _) in code.match_indices(kind) {
            let implementation = &code[at..at + kind.len() + word(&code[at + kind.len()..]).len()];
            let is_known = SIGNATURES.contains(&(path, implementation));
            if !is_known && !is_simulated(path, sources) {
                complaints.push(format!("{path}: {implementation} is not for simulations alone"));
            }
        }
    }
    if SIGNED.iter().any(|room| path.starts_with(room)) {
        let found = SWITCHES.iter().filter(|switch| code.contains(**switch));
        complaints.extend(found.map(|switch| format!("{path}: {switch} could be a switch")));
    }
    complaints
}

/// Whether a file, or a room that it is in, is declared under the feature `sim`.
fn is_simulated(path: &str, sources: &BTreeMap<String, String>) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let (parent, name) = match file {
        "lib.rs" => return false,
        "mod.rs" => match folder.rsplit_once('/') {
            Some((above, name)) => (above, name),
            None => return false,
        },
        file => (folder, file.trim_end_matches(".rs")),
    };
    let declaring =
        [format!("{parent}/mod.rs"), format!("{parent}.rs"), format!("{parent}/lib.rs")];
    declaring.into_iter().filter_map(|file| Some((sources.get(&file)?, file))).any(
        |(text, file)| {
            let lines: Vec<&str> = text.lines().collect();
            let declaration = format!("mod {name};");
            let at = lines.iter().position(|line| line.trim_start_matches("pub ") == declaration);
            let attribute = at.and_then(|at| lines.get(at.checked_sub(1)?)).unwrap_or(&"");
            let is_gated = *attribute == "#[cfg(feature = \"sim\")]"
                || attribute.starts_with("#[cfg(all(") && attribute.contains("feature = \"sim\"");
            is_gated || is_simulated(&file, sources)
        },
    )
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let lines = (1..).zip(text.lines());
    let marked = lines.filter(|(_, line)| UNFINISHED.iter().any(|mark| has_mark(line, mark)));
    marked.map(|(number, line)| format!("{path}:{number}: {}", line.trim())).collect()
}

/// Whether a mark stands in a line as a word of its own.
fn has_mark(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + mark.len()..]);
        let open_end = mark.ends_with(|c| !is_word(c));
        !before.ends_with(is_word) && (open_end || !after.starts_with(is_word))
    })
}

/// The areas of the conformance list with the ids of their rows.
fn areas(conformance: &str) -> Vec<(&str, Vec<&str>)> {
    let mut areas: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in conformance.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            areas.push((title, Vec::new()));
        } else if let (Some(row), Some((_, rows))) = (
            line.strip_prefix("| ").filter(|cells| cells.starts_with('R')).and_then(citation),
            areas.last_mut(),
        ) {
            rows.push(row);
        }
    }
    areas.retain(|(_, rows)| !rows.is_empty());
    areas
}

/// A line for each area: how many rows it has, how many of them a test names, and the others.
fn coverage(areas: &[(&str, Vec<&str>)], tested: &BTreeSet<&str>) -> String {
    let mut table = format!("{:>4} {:>6}  area\n", "rows", "tested");
    let mut all = (0, 0);
    for (area, rows) in areas {
        let missing: Vec<&str> = rows.iter().copied().filter(|r| !tested.contains(r)).collect();
        let (count, named) = (rows.len(), rows.len() - missing.len());
        all = (all.0 + count, all.1 + named);
        table += &format!("{count:4} {named:6}  {area}\n");
        for some in missing.chunks(MISSING_IN_LINE) {
            table += &format!("{:13}without: {}\n", "", some.join(" "));
        }
    }
    table + &format!("{:4} {:6}  in all\n", all.0, all.1)
}

fn unknown_rows(path: &str, text: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let cited = citations(text).into_iter().filter(|row| !known.contains(row));
    cited.map(|row| format!("{path}: {row} is no row of {CONFORMANCE}")).collect()
}

/// Whatever looks like `R6940-6.3.2-05`.
fn citations(text: &str) -> Vec<&str> {
    let starts = text.match_indices('R').filter(|(at, _)| !text[..*at].ends_with(is_word));
    starts.filter_map(|(at, _)| citation(&text[at..])).collect()
}

fn citation(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !is_word(c) && c != '-' && c != '.').unwrap_or(text.len());
    let row = text[..end].trim_end_matches(['.', '-']);
    let mut parts = row[1..].split('-');
    let (rfc, section, number) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    let section = !section.is_empty() && section.chars().all(|c| c.is_alphanumeric() || c == '.');
    let whole = rfc.len() == 4 && digits(rfc) && section && number.len() == 2 && digits(number);
    (whole && parts.next().is_none()).then_some(row)
}

/// The part of a source that is compiled for tests only.
fn tests_of<'a>(path: &str, text: &'a str) -> &'a str {
    if path.starts_with("tests/") || path.ends_with("tests.rs") || path.contains("/tests/") {
        return text;
    }
    text.find("#[cfg(test)]\nmod tests {").map_or("", |at| &text[at..])
}

/// Compares the table at the head of `lib.rs` with [`RANKS`] and with the folders.
fn bad_map(lib: &str, rooms: &[String]) -> Vec<String> {
    let mut map = BTreeMap::new();
    for row in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split(" | ");
        let (Some(rank), Some(names)) = (cells.next(), cells.next()) else { continue };
        let names = names.split('`').skip(1).step_by(2);
        map.extend(names.map(|name| (name, rank.parse::<u8>().ok())));
    }
    let mut complaints = Vec::new();
    for room in rooms {
        match map.get(room.as_str()) {
            None => complaints.push(format!("src/lib.rs: the map does not show {room}")),
            Some(shown) if *shown != rank(room) => complaints
                .push(format!("src/lib.rs: {room} has rank {shown:?}, not {:?}", rank(room))),
            Some(_) => {}
        }
    }
    complaints
}

fn rank(room: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

// Each rule can fail.

#[test]
fn an_import_from_above_or_beside_is_found() {
    let paths = ["src/config/mod.rs", "src/sip/mod.rs", "src/sip/message/mod.rs"];
    let complaints = |path: &str, text: &str| bad_imports(path, text, &paths).len();
    assert_eq!(complaints("src/config/a.rs", "use crate::base::NodeId;"), 0);
    assert_eq!(complaints("src/config/a.rs", "use crate::config::OverlayConfig;"), 0);
    assert_eq!(complaints("src/config/a.rs", "// crate::peer\nlet s = \"crate::peer\";"), 0);
    assert_eq!(complaints("src/config/a.rs", "use crate::message::Header;"), 1, "a sibling");
    assert_eq!(complaints("src/config/a.rs", "fn f() { crate::peer::go() }"), 1, "from above");
    let group = "use crate::{\n    base::{NodeId, Rng},\n    link,\n    phone::api,\n};";
    assert_eq!(complaints("src/storage/a.rs", group), 2, "two in a group");
    assert_eq!(complaints("src/config/mod.rs", "use super::phone::Phone;"), 1, "by super");
    assert_eq!(complaints("src/config/a.rs", "use super::super::phone::Phone;"), 1, "by super");
    assert_eq!(complaints("src/sip/mod.rs", "mod tests { use super::message::M; }"), 0);
    assert_eq!(complaints("src/cellar/mod.rs", ""), 1, "a room without a rank");
}

#[test]
fn whatever_is_too_long_is_found() {
    let whats = |text: &str| -> Vec<String> {
        too_long("src/a.rs", text).into_iter().map(|(_, what, _)| what).collect()
    };
    let body = "    call('{', \"}\", r#\"}\"#); // }\n";
    let function = |lines: usize| format!("fn long(a: [u8; 4]) {{\n{}}}\n", body.repeat(lines));
    assert_eq!(whats(&function(FUNCTION_LINES_MAX - 2)), [""; 0]);
    assert_eq!(whats(&function(FUNCTION_LINES_MAX - 1)), ["fn long"]);
    assert_eq!(whats(&"\n".repeat(FILE_LINES_MAX + 1)), ["lines"]);
    assert_eq!(whats(&"é".repeat(COLUMNS_MAX)), [""; 0]);
    assert_eq!(whats(&"é".repeat(COLUMNS_MAX + 1)), ["columns"]);
}

#[test]
fn an_exception_needs_a_reason_and_a_use() {
    let long = vec![("src/a.rs".to_owned(), "lines".to_owned(), 700)];
    let complaints = |exceptions: &[_]| without_exceptions(long.clone(), exceptions).len();
    assert_eq!(complaints(&[]), 1);
    assert_eq!(complaints(&[("src/a.rs", "lines", "a table of the standard")]), 0);
    assert_eq!(complaints(&[("src/a.rs", "lines", "")]), 1);
    let stale = ("src/b.rs", "lines", "gone");
    assert_eq!(complaints(&[("src/a.rs", "lines", "a table of the standard"), stale]), 1);
}

#[test]
fn a_clock_in_a_pure_room_is_found() {
    let text = "fn f<'a>(x: &'a str) -> char { let t = std::time::Instant::now(); 'x' }";
    assert_eq!(impurities("src/peer/mod.rs", text).len(), 1);
    assert_eq!(impurities("src/phone/mod.rs", text).len(), 0);
    assert_eq!(impurities("src/peer/mod.rs", "// never Instant::now()").len(), 0);
}

#[test]
fn a_way_round_signatures_is_found() {
    let gate = "#[cfg(feature = \"sim\")]\n";
    let sources = |gate: &str| {
        let cheap = "impl Provider for Cheap {}";
        let files = [
            ("src/lib.rs", format!("{gate}pub mod sim;\npub mod crypto;\n")),
            ("src/sim/mod.rs", "mod cheap;\n".to_owned()),
            ("src/sim/cheap.rs", cheap.to_owned()),
            ("src/crypto/mod.rs", format!("{gate}mod cheap;\nmod x509;\n")),
            ("src/crypto/cheap.rs", cheap.to_owned()),
            ("src/crypto/x509.rs", "impl Provider for X509Provider {}".to_owned()),
        ];
        BTreeMap::from(files.map(|(path, text)| (path.to_owned(), text)))
    };
    let complaints = |sources: &BTreeMap<String, String>| -> usize {
        sources.iter().map(|(path, text)| unsigned(path, text, sources).len()).sum()
    };
    assert_eq!(complaints(&sources(gate)), 0);
    assert_eq!(complaints(&sources("")), 2, "without the gates");
    assert_eq!(complaints(&sources("#[cfg(feature = \"gui\")]\n")), 2, "another gate");
    let lax = "fn verify() -> bool { cfg!(debug_assertions) }";
    assert_eq!(unsigned("src/routing/a.rs", lax, &sources(gate)).len(), 2);
    let other = "impl crate::crypto::Signer for Nobody {}";
    assert_eq!(unsigned("src/phone/a.rs", other, &sources(gate)).len(), 1);
    let test = "#[cfg(test)]\nmod tests {\nimpl Signer for Nobody {}\n}\n";
    assert_eq!(unsigned("src/phone/a.rs", test, &sources(gate)).len(), 0);
}

#[test]
fn a_mark_of_unfinished_work_is_found() {
    for mark in UNFINISHED {
        assert_eq!(unfinished("src/a.rs", &format!("fn f() {{}} // {mark}")).len(), 1, "{mark}");
    }
    assert!(unfinished("src/a.rs", concat!("let mas", "TO", "DON = 1;")).is_empty());
}

#[test]
fn a_row_that_does_not_exist_is_found() {
    let list = "## A. First\n| R6940-5.1-01 | 5.1 |\n## B. Second\n| R6940-13.A-02 | A |\n";
    let areas = areas(list);
    assert_eq!(areas, [("A. First", vec!["R6940-5.1-01"]), ("B. Second", vec!["R6940-13.A-02"])]);
    let known = BTreeSet::from(["R6940-5.1-01"]);
    let unknown = |text: &str| unknown_rows("src/a.rs", text, &known).len();
    assert_eq!(unknown("/// R6940-5.1-01: fine. (R6940-5.1-01)"), 0);
    assert_eq!(unknown("/// R6940-5.1-01, R6940-5.1-99."), 1);
    assert_eq!(unknown("RFC 6940, R6940, XR6940-5.1-99, R6940-5.1-999"), 0);
    let source = "/// R6940-5.1-01\nfn f() {}\n#[cfg(test)]\nmod tests {\n/// R6940-5.1-02\n}";
    assert_eq!(citations(tests_of("src/a.rs", source)), ["R6940-5.1-02"]);
    assert_eq!(citations(tests_of("src/room/tests.rs", source)).len(), 2);
}

#[test]
fn a_row_without_a_test_is_shown() {
    let areas = [("A. First", vec!["R6940-5.1-01", "R6940-5.1-02"]), ("B. Second", Vec::new())];
    let tested = BTreeSet::from(["R6940-5.1-02"]);
    let table = coverage(&areas, &tested);
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    let expected =
        ["2      1  A. First", "without: R6940-5.1-01", "0      0  B. Second", "2      1  in all"];
    assert_eq!(lines[1..], expected);
}

#[test]
fn a_room_missing_on_the_map_is_found() {
    let map = "//! | 0 | [`base`] | x | y |\n//! | 7 | `gui`, [`cli`] | | |";
    let complaints = |room: &str| bad_map(map, &[room.to_owned()]).len();
    assert_eq!(complaints("base"), 0);
    assert_eq!(complaints("cli"), 1, "another rank");
    assert_eq!(complaints("peer"), 1, "not there");
}
