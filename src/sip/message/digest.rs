//! The answer to whoever asks for a password (RFC 7616 as RFC 8760 has SIP use it).
//!
//! Of several ways to prove the password the one is taken that the asker names first and we know:
//! SHA-256, SHA-512/256 or MD5, which old registrars know alone. The password itself is never sent.

use md5::{Digest as _, Md5};
use ring::digest::{SHA256, SHA512_256, digest};

use super::Headers;
use super::text::{quote, quoted_string, split};

/// The name and password that a registrar knows us by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a 401 or 407 asks for (RFC 7616 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the algorithm was named, and is to be named in the answer.
    is_named: bool,
    /// Whether the answer has a count and a random number of ours (`qop=auth`).
    has_quality: bool,
    is_stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512To256,
}

impl Challenge {
    /// The topmost challenge of a response that we can answer (RFC 8760 §2.4).
    pub fn topmost(headers: &Headers, name: &str) -> Option<Self> {
        headers.all(name).find_map(Self::parse)
    }

    /// Who asks; the password is another one for each.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Whether only the nonce of the last answer was too old, and the password right.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The value of the Authorization or Proxy-Authorization header field. `count` grows with each
    /// answer to the same challenge and begins with 1; `random` is a token that nobody can guess.
    pub fn answer(
        &self,
        credentials: &Credentials,
        (method, uri): (&str, &str),
        count: u32,
        random: &str,
    ) -> String {
        let Self { realm, nonce, algorithm, .. } = self;
        let Credentials { user, password } = credentials;
        let secret = algorithm.hash(&format!("{user}:{realm}:{password}"));
        let request = algorithm.hash(&format!("{method}:{uri}"));
        let response = match self.has_quality {
            true => format!("{secret}:{nonce}:{count:08x}:{random}:auth:{request}"),
            false => format!("{secret}:{nonce}:{request}"),
        };
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quote(user),
            quote(realm),
            quote(nonce),
            quote(uri),
            algorithm.hash(&response)
        );
        if self.is_named {
            value.push_str(&format!(", algorithm={}", algorithm.name()));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        if self.has_quality {
            value.push_str(&format!(", qop=auth, nc={count:08x}, cnonce={}", quote(random)));
        }
        value
    }

    fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let pieces = split(rest, ',');
        let param = |name: &str| {
            let mut pieces = pieces.iter().filter_map(|piece| piece.split_once('='));
            let (_, value) = pieces.find(|(n, _)| n.trim().eq_ignore_ascii_case(name))?;
            let value = value.trim();
            Some(quoted_string(value).map_or_else(|| value.to_owned(), |(text, _)| text))
        };
        let algorithm = param("algorithm");
        let qualities = param("qop");
        let offers = |quality: &String| quality.split(',').any(|q| q.trim() == "auth");
        // One that asks for the body to be signed as well, and no less, can't be answered.
        if qualities.as_ref().is_some_and(|qualities| !offers(qualities)) {
            return None;
        }
        Some(Self {
            realm: param("realm")?,
            nonce: param("nonce")?,
            opaque: param("opaque"),
            algorithm: algorithm.as_deref().map_or(Some(Algorithm::Md5), Algorithm::named)?,
            is_named: algorithm.is_some(),
            has_quality: qualities.is_some(),
            is_stale: param("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        let all = [Self::Md5, Self::Sha256, Self::Sha512To256];
        all.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512To256 => "SHA-512-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex::encode(Md5::digest(text.as_bytes())),
            Self::Sha256 => hex::encode(digest(&SHA256, text.as_bytes())),
            Self::Sha512To256 => hex::encode(digest(&SHA512_256, text.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    fn headers(values: &[&str]) -> Headers {
        let mut headers = Headers::default();
        for value in values {
            headers.push("WWW-Authenticate", value);
        }
        headers
    }

    /// The examples of RFC 7616 §3.9.1.
    #[test]
    fn answers_are_those_of_the_standard() {
        let credentials = Credentials { user: "Mufasa".into(), password: "Circle of Life".into() };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let asked = headers(&[&format!("{COMMON}, algorithm={algorithm}")]);
            let challenge = Challenge::topmost(&asked, "WWW-Authenticate").expect("known");
            let random = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer = challenge.answer(&credentials, ("GET", "/dir/index.html"), 1, random);
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
            assert!(answer.contains("nc=00000001") && answer.contains(&format!("={algorithm}")));
            assert!(!answer.contains("Circle"));
        }
    }

    /// RFC 8760 §2.4: the topmost challenge that we know is answered; without a name it is MD5; one
    /// that only takes signed bodies is none that we know.
    #[test]
    fn the_topmost_known_challenge_is_answered() {
        let topmost = |values: &[&str]| {
            let challenge = Challenge::topmost(&headers(values), "WWW-Authenticate");
            challenge.map(|challenge| challenge.realm().to_owned())
        };
        let first = "Digest realm=\"a\", nonce=\"n\", algorithm=SHA3-512";
        let second = "Digest realm=\"b, c\", nonce=\"n\", algorithm=SHA-512-256";
        assert_eq!(topmost(&[first, second]).as_deref(), Some("b, c"));
        assert_eq!(topmost(&["Basic realm=\"a\"", first]), None);
        assert_eq!(topmost(&["Digest realm=\"a\", nonce=\"n\", qop=\"auth-int\""]), None);
        assert_eq!(topmost(&["digest realm=\"a\",nonce=\"n\""]).as_deref(), Some("a"));
    }

    /// RFC 2617 §3.2.2.1: who names no quality gets the short answer of old.
    #[test]
    fn old_registrars_get_the_old_answer() {
        let asked = headers(&["Digest realm=\"asterisk\", nonce=\"1\""]);
        let challenge = Challenge::topmost(&asked, "WWW-Authenticate").expect("known");
        let credentials = Credentials { user: "u".into(), password: "p".into() };
        let answer = challenge.answer(&credentials, ("REGISTER", "sip:a"), 1, "c");
        let hash = |text: &str| Algorithm::Md5.hash(text);
        let (secret, request) = (hash("u:asterisk:p"), hash("REGISTER:sip:a"));
        let response = hash(&format!("{secret}:1:{request}"));
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        assert!(!answer.contains("cnonce") && !answer.contains("algorithm"), "{answer}");
    }
}
