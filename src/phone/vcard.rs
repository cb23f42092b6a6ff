//! Contacts as vCards (RFC 6350), read from any program's file and written for any.
//!
//! A contact of ours is one address. A card with several becomes as many contacts of one name, and
//! whatever we have no use for is passed over.

use vcard::prop::VcardProp;
use vcard::tree::cst::VcardCst;
use vcard::tree::line::VcardLine;
use vcard::value::VcardValue;
use vcard::vcard::Vcard;
use vcard::version::VcardVersion;

use super::book::Contact;

/// What a file of cards holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cards {
    /// One for each address; the address as it is written, with its scheme.
    pub(super) contacts: Vec<Contact>,
    /// Cards with no address that a phone like this one could call.
    pub(super) without_address: usize,
    /// Whether the file ends in something that is no card.
    pub(super) is_cut: bool,
}

/// Reads cards of vCard 2.1, 3.0 and 4.0.
pub(super) fn read(file: &[u8]) -> Cards {
    let mut cards = Cards::default();
    // A byte order mark is of no use (RFC 6350 §3.1).
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    for card in VcardCst::parse_many(file).take(CARDS_MAX) {
        let Ok(card) = card else {
            cards.is_cut = true;
            break;
        };
        let before = cards.contacts.len();
        let text = |name: &str| {
            let line = card.props.iter().find(|line| line.bare_name().eq_ignore_ascii_case(name));
            line.map(|line| line.value.decode().trim().to_owned()).unwrap_or_default()
        };
        let contact = Contact {
            aor: String::new(),
            name: text("FN"),
            note: text("NOTE"),
            is_favourite: text(FAVOURITE) == YES,
            is_blocked: text(BLOCKED) == YES,
        };
        for aor in card.props.iter().filter_map(address).take(ADDRESSES_MAX) {
            if !cards.contacts[before..].iter().any(|known| known.aor == aor) {
                cards.contacts.push(Contact { aor, ..contact.clone() });
            }
        }
        if cards.contacts.len() == before {
            cards.without_address += 1;
        }
    }
    cards
}

/// The address in a line: a SIP URI, whichever property it is in, for programs differ; or what
/// stands in a property of phones without a scheme.
fn address(line: &VcardLine<'_>) -> Option<String> {
    let value = line.value.decode();
    let value = value.trim();
    let is_uri = ["sip:", "sips:"].iter().any(|scheme| {
        value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let is_bare = line.bare_name().eq_ignore_ascii_case("X-SIP") && value.contains('@');
    (is_uri || is_bare).then(|| value.to_owned())
}

/// Writes a card for each contact; `uri` gives the SIP URI of an Address of Record.
pub(super) fn write(contacts: &[Contact], uri: impl Fn(&str) -> String) -> String {
    contacts.iter().map(|contact| card(contact, uri(&contact.aor)).to_string()).collect()
}

fn card(contact: &Contact, uri: String) -> Vcard<'_> {
    let property = |name: &'static str, value| VcardProp {
        group: None,
        name: name.into(),
        params: Vec::new(),
        value,
    };
    let text = |name, text: String| property(name, VcardValue::Text(text.into()));
    // Every card has to have a name (RFC 6350 §6.2.1).
    let name = if contact.name.is_empty() { &contact.aor } else { &contact.name };
    let mut properties =
        vec![text("FN", name.clone()), property("IMPP", VcardValue::Uri(uri.into()))];
    if !contact.note.is_empty() {
        properties.push(text("NOTE", contact.note.clone()));
    }
    for (name, is_so) in [(FAVOURITE, contact.is_favourite), (BLOCKED, contact.is_blocked)] {
        if is_so {
            properties.push(text(name, YES.to_owned()));
        }
    }
    Vcard { version: VcardVersion::V4_0, properties }
}

/// Our own properties (RFC 6350 §6.10) and what stands in them.
const FAVOURITE: &str = "X-CHORDIAL-FAVOURITE";
const BLOCKED: &str = "X-CHORDIAL-BLOCKED";
const YES: &str = "1";

// limits

/// Cards read from one file: more than anybody knows.
const CARDS_MAX: usize = 20_000;
/// Addresses of one card.
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contact(aor: &str, name: &str) -> Contact {
        Contact { aor: aor.into(), name: name.into(), ..Contact::default() }
    }

    /// What was written is read as it was, whatever characters are in it.
    #[test]
    fn cards_survive_a_file() {
        let contacts = vec![
            contact("sip:bob@smith", "Bob; the \\builder, and\nothers: \u{e4}\u{df}\u{2603}"),
            Contact {
                note: "Line one\nline two, with commas; and more".into(),
                is_favourite: true,
                ..contact("sip:carol@smith", "long ".repeat(60).trim_end())
            },
            Contact { is_blocked: true, ..contact("sip:mallory@smith", "Mallory") },
        ];
        let file = write(&contacts, str::to_owned);
        assert_eq!(file.matches("VERSION:4.0\r\n").count(), 3, "{file}");
        let cards = read(file.as_bytes());
        assert_eq!(cards, Cards { contacts, ..Cards::default() });
    }

    proptest! {
        /// Whatever is in a file, reading it comes to an end and breaks nothing.
        #[test]
        fn any_file_is_read(parts in prop::collection::vec(part(), 0..60)) {
            let file = parts.concat();
            let cards = read(&file);
            prop_assert!(cards.contacts.len() <= file.len());
        }
    }

    /// Pieces of cards, and what has no place in them.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "BEGIN:VCARD\r\n",
            "END:VCARD\n",
            "VERSION:2.1\r\n",
            "VERSION:4.0\n",
            "FN",
            "NOTE",
            "IMPP",
            ":",
            ";",
            ",",
            "=",
            "=\r\n",
            "\"",
            "\\",
            "\\n",
            " ",
            "\t",
            "\r\n",
            "\n",
            "\r",
            "sip:a@b",
            "SIPS:",
            "TYPE=",
            "ENCODING=QUOTED-PRINTABLE",
            "ENCODING=BASE64",
            "CHARSET=UTF-8",
            "a.",
            "\u{e9}",
            "^n",
        ];
        let pieces =
            prop::sample::select(pieces.to_vec()).prop_map(|text| text.as_bytes().to_vec());
        prop_oneof![6 => pieces, 1 => prop::collection::vec(any::<u8>(), 0..6)]
    }

    /// Files of other programs: older versions, groups, folds, several addresses, and people
    /// without any.
    #[test]
    fn cards_of_others_are_read() {
        let file = "\u{feff}BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;John;;;\r\nFN:John\r\n  Doe\r\n\
                    item1.IMPP;X-SERVICE-TYPE=SIP:SIP:john@smith\r\n\
                    X-SIP:doe@jones.example\r\nTEL;TYPE=cell:+4912345\r\n\
                    URL:sip:john@smith\r\nEND:VCARD\r\n\
                    BEGIN:VCARD\nVERSION:4.0\nFN:Only a number\nTEL:+4912\nEND:VCARD\n\
                    BEGIN:VCARD\nVERSION:2.1\nFN:Eve\nTEL;VALUE=uri:sips:eve@smith\nEND:VCARD\n";
        let cards = read(file.as_bytes());
        let found: Vec<_> = cards.contacts.iter().map(|c| (&*c.name, &*c.aor)).collect();
        let expected = [
            ("John Doe", "SIP:john@smith"),
            ("John Doe", "doe@jones.example"),
            ("John Doe", "sip:john@smith"),
            ("Eve", "sips:eve@smith"),
        ];
        assert_eq!(found, expected);
        assert_eq!((cards.without_address, cards.is_cut), (1, false));
    }

    /// Nothing breaks on a file that is cut off or is none, and what came before is there.
    #[test]
    fn a_file_that_is_no_cards_is_told() {
        let good = write(&[contact("sip:bob@smith", "Bob")], str::to_owned);
        for rest in ["BEGIN:VCARD\r\nFN:half", "\u{0}\u{1}\u{2}", "END:VCARD", "no card at all"] {
            let cards = read(format!("{good}{rest}").as_bytes());
            assert_eq!((cards.contacts.len(), cards.is_cut), (1, true), "{rest}");
        }
        assert_eq!(read(b""), Cards::default());
        for length in 0..good.len() {
            let cards = read(&good.as_bytes()[..length]);
            assert!(cards.contacts.len() <= 1);
        }
    }
}
