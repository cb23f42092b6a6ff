//! Reading sources: files by name, and their text without comments and strings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn sources(folders: &[&str]) -> BTreeMap<String, String> {
    read(folders, &["rs"])
}

pub(super) fn read(folders: &[&str], extensions: &[&str]) -> BTreeMap<String, String> {
    let mut open: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = BTreeMap::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("a readable folder").path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if path.is_dir() {
                // The fuzz targets are a crate of their own, with its own build beside it.
                if !path.ends_with("target") {
                    open.push(path);
                }
            } else if extensions.contains(&extension) {
                let text = fs::read_to_string(&path).expect("a source in UTF-8");
                let name = path.strip_prefix(root()).expect("inside").to_string_lossy();
                files.insert(name.replace('\\', "/"), text);
            }
        }
    }
    assert!(!files.is_empty(), "there is something to read in {folders:?}");
    files
}

pub(super) fn none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// A source with its comments and the contents of its strings blanked out, line by line.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'b' | 'c' if !after_word && rest[1..].starts_with('"') => 1 + string(&rest[1..]),
            'r' | 'b' | 'c' if !after_word => raw_string(rest).unwrap_or(0),
            '\'' => character(rest).unwrap_or(0),
            _ => 0,
        };
        let (blank, keep) = if length == 0 { (0, first.len_utf8()) } else { (length, length) };
        code.extend(rest[..blank].chars().filter(|c| *c == '\n'));
        code.push_str(&rest[blank..keep]);
        rest = &rest[keep..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, pair) in text.as_bytes().windows(2).enumerate() {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 2;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("br").or(text.strip_prefix("cr")).or(text.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let content = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = content.find(&end).map_or(content.len(), |at| at + end.len());
    Some(text.len() - content.len() + close)
}

/// A character literal, but not a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    match chars.next()? {
        (_, '\\') => text[3..].find('\'').map(|at| at + 4),
        _ => chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1),
    }
}
