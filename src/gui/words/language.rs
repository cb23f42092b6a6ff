//! The language of the window: texts from `assets/*.ftl`, as Project Fluent has them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use fluent::concurrent::FluentBundle;
use fluent::{FluentArgs, FluentResource, FluentValue};

use crate::phone::Language;

/// The texts of one language.
struct Texts {
    bundle: FluentBundle<FluentResource>,
    /// Those with nothing in them, ready to be shown.
    plain: BTreeMap<&'static str, String>,
}

static ENGLISH: LazyLock<Texts> =
    LazyLock::new(|| Texts::read("en", include_str!("../../../assets/en.ftl")));
static GERMAN: LazyLock<Texts> =
    LazyLock::new(|| Texts::read("de", include_str!("../../../assets/de.ftl")));
/// The language of the system, once somebody has asked for it; English before that.
static SYSTEM: OnceLock<Language> = OnceLock::new();

thread_local! {
    /// The language that the window of this thread has.
    static CHOSEN: Cell<Language> = const { Cell::new(Language::English) };
}

impl Texts {
    fn read(language: &str, source: &'static str) -> Self {
        let language = language.parse().into_iter().collect();
        let mut bundle = FluentBundle::new_concurrent(language);
        // Marks of direction round every name would be read out and copied.
        bundle.set_use_isolating(false);
        // A test reads both files to the end.
        let (Ok(resource) | Err((resource, _))) = FluentResource::try_new(source.to_owned());
        bundle.add_resource_overriding(resource);
        let mut plain = BTreeMap::new();
        for key in keys(source) {
            let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
                continue;
            };
            let mut errors = Vec::new();
            let text = bundle.format_pattern(pattern, None, &mut errors).into_owned();
            if errors.is_empty() {
                plain.insert(key, text);
            }
        }
        Self { bundle, plain }
    }

    fn say(&self, key: &str, args: &FluentArgs<'_>) -> Option<String> {
        let pattern = self.bundle.get_message(key)?.value()?;
        Some(self.bundle.format_pattern(pattern, Some(args), &mut Vec::new()).into_owned())
    }
}

/// The names of the texts in a file.
pub(super) fn keys(source: &'static str) -> impl Iterator<Item = &'static str> {
    let keys = source.lines().filter_map(|line| line.split_once(" =")).map(|(key, _)| key);
    keys.filter(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// The English texts whose names begin like this, as they stand in the file.
pub(super) fn phrases(start: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let texts = include_str!("../../../assets/en.ftl").lines();
    texts.filter_map(|line| line.split_once(" = ")).filter(move |(key, _)| key.starts_with(start))
}

/// Whether this window is in English.
pub(super) fn is_english() -> bool {
    std::ptr::eq(texts(), &raw const *ENGLISH)
}

/// Shows this window in a language from now on.
pub fn choose(language: Language) {
    let chosen = match language {
        Language::System => SYSTEM.get().copied().unwrap_or(Language::English),
        language => language,
    };
    CHOSEN.set(chosen);
}

/// Finds the language of the system, for those who want to have that one.
pub fn find_system_language() {
    // In this order (POSIX, section 8.2); systems without them get English.
    let tag = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let is_german = tag.is_some_and(|tag| tag.starts_with("de"));
    SYSTEM.get_or_init(|| if is_german { Language::German } else { Language::English });
    choose(Language::System);
}

fn texts() -> &'static Texts {
    match CHOSEN.get() {
        Language::German => &GERMAN,
        Language::English | Language::System => &ENGLISH,
    }
}

/// A text with nothing in it; one that a language lacks is shown in English.
pub(super) fn text(key: &'static str) -> &'static str {
    let text = texts().plain.get(key).or_else(|| ENGLISH.plain.get(key));
    text.map_or(key, String::as_str)
}

/// A text with something in it.
pub(super) fn say(key: &'static str, args: &[(&'static str, FluentValue<'_>)]) -> String {
    let args: FluentArgs<'_> = args.iter().cloned().collect();
    let said = texts().say(key, &args).or_else(|| ENGLISH.say(key, &args));
    said.unwrap_or_else(|| key.to_owned())
}
