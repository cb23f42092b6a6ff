//! Characters, lists and parameters of SIP's grammar (RFC 3261 §25.1).

use std::fmt;

use super::HeaderError;
use crate::sip::limits;

/// Whether `text` is a `token`.
pub(super) fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

/// Splits at `separator` outside quoted strings and angle brackets and trims each piece.
/// Pieces beyond [`limits::LIST_MAX`] stay together in the last one.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut bracketed, mut escaped) = (0, false, false, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = c == '\\';
            quoted = c != '"';
        } else if bracketed {
            bracketed = c != '>';
        } else if c == separator && pieces.len() + 1 < limits::LIST_MAX {
            pieces.push(text[start..at].trim());
            start = at + c.len_utf8();
        } else {
            quoted = c == '"';
            bracketed = c == '<';
        }
    }
    pieces.push(text[start..].trim());
    pieces
}

/// Splits a leading quoted string off, with its escapes undone: the string on one line and what
/// follows it.
pub(super) fn quoted_string(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((printable(&value), &inner[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// Writes a quoted string; control characters, which no quoting makes safe, become spaces.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The text with control characters, above all CR and LF, turned into spaces, and without spaces
/// at its ends: what may stand in a header or a reason phrase without beginning another line.
pub(super) fn one_line(text: &str) -> String {
    printable(text).trim().to_owned()
}

/// The text with control characters turned into spaces.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Undoes %-escapes (RFC 3261 §19.1.2); `None` if one is malformed or the result is not UTF-8.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Parameters after a semicolon, in their order; a value stands as it was written, quotes and
/// escapes included. Names compare without regard to case (RFC 3261 §7.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Parameters from the pieces between semicolons. Empty pieces are skipped.
    ///
    /// # Errors
    ///
    /// A name that is no token, or a value with characters that could end the field.
    pub(super) fn from_pieces(pieces: &[&str]) -> Result<Self, HeaderError> {
        let mut params = Vec::new();
        for piece in pieces.iter().filter(|p| !p.is_empty()) {
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (*piece, None),
            };
            let valid = |v: &str| match quoted_string(v) {
                Some((_, rest)) => rest.is_empty(),
                None => !v.contains(|c: char| c.is_control() || "\"<>; ,".contains(c)),
            };
            if !is_param_name(name) || !value.is_none_or(valid) {
                return Err(HeaderError::Invalid("parameter"));
            }
            params.push((name.to_owned(), value.map(str::to_owned)));
        }
        Ok(Self(params))
    }

    /// The value of a parameter, `Some("")` for one without a value.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(found.1.as_deref().unwrap_or(""))
    }

    /// Sets a parameter to a token; a value that is no token is left out.
    pub(super) fn put_token(&mut self, name: &'static str, value: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        if is_token(value) {
            self.0.push((name.to_owned(), Some(value.to_owned())));
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// Names of URI parameters may hold more than a token does (`paramchar`, RFC 3261 §25.1).
fn is_param_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~()[]/:&$".contains(&b);
    !name.is_empty() && name.bytes().all(allowed)
}
