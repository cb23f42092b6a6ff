//! What the phone says, in the language of the window. The phone has its sentences in English, as
//! its other faces show them; texts of the name `said_…` are those sentences with places for names,
//! so that the same text of another language says the same. What has no text stays as it is.

use std::sync::LazyLock;

use super::language;

/// A sentence of the phone, in the language of the window.
pub fn said(sentence: &str) -> String {
    match language::is_english() {
        true => sentence.to_owned(),
        false => translated(sentence, DEPTH_MAX),
    }
}

fn translated(sentence: &str, depth: usize) -> String {
    let said = PHRASES.iter().find_map(|phrase| Some((phrase, phrase.places_in(sentence)?)));
    let Some((phrase, places)) = said.filter(|_| depth > 0) else {
        // What is a reason elsewhere may be a sentence here.
        let part = sentence.strip_suffix('.').filter(|_| depth > 0);
        return part.map_or(sentence.to_owned(), |part| format!("{}.", translated(part, 1)));
    };
    // A reason within a sentence may be a text of its own.
    let places = places.into_iter().map(|(name, part)| (name, translated(part, depth - 1).into()));
    language::say(phrase.key, &places.collect::<Vec<_>>())
}

/// A sentence with places for names.
struct Phrase {
    key: &'static str,
    /// What stands before the first place.
    start: &'static str,
    /// The name of each place, and what stands behind it.
    rest: Vec<(&'static str, &'static str)>,
}

/// Those with most words of their own first: others would take their words for a name.
static PHRASES: LazyLock<Vec<Phrase>> = LazyLock::new(|| {
    let mut phrases: Vec<Phrase> = language::phrases("said_").map(Phrase::read).collect();
    phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.length()));
    phrases
});

impl Phrase {
    fn read((key, text): (&'static str, &'static str)) -> Self {
        let mut parts = text.split("{ $");
        let start = parts.next().unwrap_or_default();
        Self { key, start, rest: parts.filter_map(|part| part.split_once(" }")).collect() }
    }

    fn length(&self) -> usize {
        self.start.len() + self.rest.iter().map(|(_, text)| text.len()).sum::<usize>()
    }

    /// What stands in the places, if this is the phrase of a sentence.
    fn places_in<'s>(&self, sentence: &'s str) -> Option<Vec<(&'static str, &'s str)>> {
        let mut left = sentence.strip_prefix(self.start)?;
        let Some(((last_name, end), first)) = self.rest.split_last() else {
            return left.is_empty().then(Vec::new);
        };
        let mut places = Vec::new();
        for (name, text) in first {
            let (part, behind) = left.split_once(text)?;
            places.push((*name, part));
            left = behind;
        }
        places.push((*last_name, left.strip_suffix(end)?));
        places.iter().all(|(_, part)| !part.is_empty()).then_some(places)
    }
}

/// Sentences in sentences: a reason, and what is behind it.
const DEPTH_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::words::choose_language;
    use crate::phone::{Language, Protection, every_failure, every_word};

    /// Whatever ends a call or keeps it from coming about is said in German, with the names in it.
    #[test]
    fn calls_end_in_every_language() {
        let failures = every_failure("bob@smith").into_iter().map(|(_, sentence)| sentence);
        choose_language(Language::German);
        for sentence in failures.chain(every_word("bob@smith")) {
            let said = said(&sentence);
            assert_ne!(said, sentence);
            assert_eq!(said.contains("bob@smith"), sentence.contains("bob@smith"), "{said}");
            for word in ["can't", "You ", "phone"] {
                assert!(!said.contains(word), "{said}");
            }
        }
        for protection in [Protection::Plain, Protection::KeyStore, Protection::Password] {
            assert_ne!(said(protection.sentence()), protection.sentence());
        }
        choose_language(Language::English);
        assert_eq!(said("bob@smith is busy."), "bob@smith is busy.");
    }

    /// Each phrase is found by its own words, with anything in its places.
    #[test]
    fn no_phrase_is_taken_for_another() {
        for phrase in PHRASES.iter() {
            let places: Vec<_> =
                phrase.rest.iter().map(|(name, _)| (*name, "Zoë".into())).collect();
            choose_language(Language::English);
            let sentence = language::say(phrase.key, &places);
            choose_language(Language::German);
            let german = language::say(phrase.key, &places);
            assert_eq!(said(&sentence), german, "{}", phrase.key);
            choose_language(Language::English);
        }
        assert!(PHRASES.len() > 60);
    }

    #[test]
    fn what_has_no_text_stays_as_it_is() {
        choose_language(Language::German);
        assert_eq!(said("Something new happened."), "Something new happened.");
        let outer = said("bob could not be looked up: something new happened.");
        assert_eq!(outer, "bob konnte nicht nachgeschlagen werden: something new happened.");
        choose_language(Language::English);
    }
}
