//! Addresses that other programs want to have called: `sip:` and `sips:` (RFC 3261 §19.1.1) and
//! `tel:` (RFC 3966) in links of browsers and mail programs.

/// What is to be dialled for an address, as somebody would type it. What the link wants beside
/// that, such as a transport or a header, is left out: it is for the user to say.
///
/// # Errors
/// One sentence: it is no such address.
pub fn to_dial(address: &str) -> Result<String, String> {
    let shown: String = address.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    let no_address = || format!("{shown:?} is no address that begins with sip:, sips: or tel:.");
    let (scheme, rest) = address.trim().split_once(':').ok_or_else(no_address)?;
    let end = rest.find([';', '?']).unwrap_or(rest.len());
    // A browser may take the address for a place on a server.
    let who = rest[..end].trim_start_matches('/');
    if who.is_empty() || who.len() > LENGTH_MAX || who.contains(char::is_control) {
        return Err(no_address());
    }
    match scheme.to_ascii_lowercase().as_str() {
        // An escape is one only in an address.
        "sip" if who.contains('%') => Ok(format!("sip:{who}")),
        "sip" => Ok(who.to_owned()),
        "sips" => Ok(format!("sips:{who}")),
        // What makes a number readable is no part of it (RFC 3966 §5.1.1).
        "tel" => Ok(who.replace(['-', '.', '(', ')', ' '], "")),
        _ => Err(no_address()),
    }
}

/// Longer than any name that can be called.
const LENGTH_MAX: usize = 512;
/// So much of it is in the sentence.
const SHOWN_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// Links as they come from other programs, and what is none.
    #[test]
    fn links_become_what_somebody_would_type() {
        for (link, typed) in [
            ("sip:bob@smith", "bob@smith"),
            ("SIP:bob@smith;transport=tcp?subject=hello", "bob@smith"),
            ("sip://bob@smith", "bob@smith"),
            ("sip:bob%20b@smith", "sip:bob%20b@smith"),
            ("sips:bob@smith", "sips:bob@smith"),
            ("tel:+49-30-(123).45;phone-context=example.com", "+493012345"),
        ] {
            assert_eq!(to_dial(link).as_deref(), Ok(typed), "{link}");
        }
        let long = format!("sip:{}", "x".repeat(600));
        for link in ["bob", "", "sip:", "http://bob", "sip:\u{7}", "tel:;x", &long] {
            let sentence = to_dial(link).expect_err(link);
            assert!(sentence.contains("no address") && sentence.len() < 200, "{sentence}");
        }
    }
}
