//! The keys that stand for names where nobody vouches for them: in an overlay of self-signed
//! certificates anybody may call themselves anything.
//!
//! The first key seen for a name is pinned to it. Another key under the same name may be another
//! device, a new computer, or somebody else: only the user can know, by asking whom they know. So
//! it is an [`KeyAlarm`] until the user has answered, which is remembered; no sound goes to or
//! comes from that key meanwhile. A key is known by its Node-ID, which is its digest (RFC 6940
//! §11.3.1).

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::data::Data;

/// A key under a name that had another one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyAlarm {
    /// The overlay's name.
    pub overlay: String,
    /// The name that the key is under.
    pub aor: String,
    /// The key that nobody has vouched for.
    pub new: SeenKey,
    /// The keys that the name has had so far.
    pub known: Vec<SeenKey>,
}

/// A key that was seen under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenKey {
    /// Its Node-ID in hexadecimal.
    pub node_id: String,
    /// The same in words that two people can read to each other.
    pub words: String,
    /// When it was seen first, milliseconds since the Unix epoch; 0 if that is not known.
    pub since_unix_ms: u64,
}

impl SeenKey {
    fn new(node_id: String, since_unix_ms: i64) -> Self {
        let words = key_words(&node_id);
        Self { node_id, words, since_unix_ms: since_unix_ms.max(0) as u64 }
    }
}

/// What the user says of a key in an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAnswer {
    /// It is another device of the same person: both keys count.
    AnotherDevice,
    /// The person has it in place of those before, which count no more.
    InPlace,
    /// It is somebody else: calls from it are refused, and none go to it.
    Refuse,
}

/// What we know of a key under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStanding {
    /// It is the first one of the name, and pinned from now on.
    First,
    /// It is one of the name's.
    Known,
    /// The name has others, and the user has not answered yet.
    Alarm,
    /// The user has refused it.
    Refused,
}

impl Data {
    /// Compares a key with those of its name, and remembers it.
    pub(super) fn judge_key(
        &self,
        overlay: &str,
        aor: &str,
        node_id: &str,
        unix_ms: u64,
    ) -> rusqlite::Result<KeyStanding> {
        let state: Option<String> = self
            .connection
            .query_row(
                "SELECT state FROM pins WHERE overlay = ?1 AND aor = ?2 AND node_id = ?3",
                [overlay, aor, node_id],
                |row| row.get(0),
            )
            .optional()?;
        let (standing, state) = match state.as_deref() {
            Some(TRUSTED) => return Ok(KeyStanding::Known),
            Some(REFUSED) => return Ok(KeyStanding::Refused),
            Some(_) => return Ok(KeyStanding::Alarm),
            None if self.count(overlay, aor, TRUSTED)? == 0 => (KeyStanding::First, TRUSTED),
            None => (KeyStanding::Alarm, ASKED),
        };
        // Somebody who makes up keys fills neither the disk nor the screen.
        if state == TRUSTED || self.count(overlay, aor, ASKED)? < ALARMS_OF_NAME_MAX {
            self.pin(overlay, aor, node_id, state, unix_ms)?;
        }
        Ok(standing)
    }

    /// A key that is under a name which we want, or one more of our own: the user is asked.
    pub(super) fn ask_about_key(
        &self,
        overlay: &str,
        aor: &str,
        node_id: &str,
        unix_ms: u64,
    ) -> rusqlite::Result<()> {
        if self.count(overlay, aor, ASKED)? < ALARMS_OF_NAME_MAX {
            self.pin(overlay, aor, node_id, ASKED, unix_ms)?;
        }
        Ok(())
    }

    /// Remembers that the user wants nothing to do with a key.
    pub(super) fn refuse_key(
        &self,
        overlay: &str,
        aor: &str,
        node_id: &str,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE pins SET state = ?4 WHERE overlay = ?1 AND aor = ?2 AND node_id = ?3",
            [overlay, aor, node_id, REFUSED],
        )?;
        Ok(())
    }

    /// Pins one more device of a name that was new when we called it: its devices came together.
    pub(super) fn pin_beside(
        &self,
        overlay: &str,
        aor: &str,
        node_id: &str,
        unix_ms: u64,
    ) -> rusqlite::Result<()> {
        self.pin(overlay, aor, node_id, TRUSTED, unix_ms)
    }

    /// Keys that wait for the user's answer, the oldest first.
    pub(super) fn key_alarms(&self) -> rusqlite::Result<Vec<KeyAlarm>> {
        let mut statement = self.connection.prepare(
            "SELECT overlay, aor, node_id, since_ms FROM pins WHERE state = ?1
             ORDER BY since_ms, rowid LIMIT ?2",
        )?;
        let rows = statement.query_map(params![ASKED, ALARMS_MAX], |row| {
            let new = SeenKey::new(row.get(2)?, row.get(3)?);
            Ok(KeyAlarm { overlay: row.get(0)?, aor: row.get(1)?, new, known: Vec::new() })
        })?;
        let mut alarms = rows.collect::<Result<Vec<_>, _>>()?;
        for alarm in &mut alarms {
            alarm.known = self.trusted_keys(&alarm.overlay, &alarm.aor)?;
        }
        Ok(alarms)
    }

    /// The keys that stand for a name.
    pub(super) fn trusted_keys(&self, overlay: &str, aor: &str) -> rusqlite::Result<Vec<SeenKey>> {
        let mut statement = self.connection.prepare(
            "SELECT node_id, since_ms FROM pins
             WHERE overlay = ?1 AND aor = ?2 AND state = ?3 ORDER BY since_ms, rowid",
        )?;
        let rows = statement
            .query_map([overlay, aor, TRUSTED], |row| Ok(SeenKey::new(row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// Remembers what the user says of a key; `false` if nobody has asked.
    pub(super) fn answer_alarm(
        &self,
        overlay: &str,
        aor: &str,
        node_id: &str,
        answer: KeyAnswer,
    ) -> rusqlite::Result<bool> {
        let change = self.connection.unchecked_transaction()?;
        let state = match answer {
            KeyAnswer::AnotherDevice | KeyAnswer::InPlace => TRUSTED,
            KeyAnswer::Refuse => REFUSED,
        };
        let changed = change.execute(
            "UPDATE pins SET state = ?4
             WHERE overlay = ?1 AND aor = ?2 AND node_id = ?3 AND state IN ('asked', 'refused')",
            [overlay, aor, node_id, state],
        )?;
        if changed > 0 && answer == KeyAnswer::InPlace {
            change.execute(
                "DELETE FROM pins
                 WHERE overlay = ?1 AND aor = ?2 AND node_id <> ?3 AND state = 'trusted'",
                [overlay, aor, node_id],
            )?;
        }
        change.commit()?;
        Ok(changed > 0)
    }

    /// Forgets all keys of a name: the next one is the first one again.
    pub(super) fn forget_keys(&self, overlay: &str, aor: &str) -> rusqlite::Result<()> {
        self.connection
            .execute("DELETE FROM pins WHERE overlay = ?1 AND aor = ?2", [overlay, aor])?;
        Ok(())
    }

    fn pin(
        &self,
        overlay: &str,
        aor: &str,
        node_id: &str,
        state: &str,
        unix_ms: u64,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT OR IGNORE INTO pins (overlay, aor, node_id, state, since_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![overlay, aor, node_id, state, unix_ms as i64],
        )?;
        Ok(())
    }

    fn count(&self, overlay: &str, aor: &str, state: &str) -> rusqlite::Result<i64> {
        self.connection.query_row(
            "SELECT count(*) FROM pins WHERE overlay = ?1 AND aor = ?2 AND state = ?3",
            [overlay, aor, state],
            |row| row.get(0),
        )
    }
}

/// A key's Node-ID, given in hexadecimal, in words that can be spoken: sixteen bits are a word of
/// three consonants and two vowels, as in Wilkerson's proquints (arXiv:0901.4016). What is no
/// Node-ID stays as it is.
pub fn key_words(node_id: &str) -> String {
    let Ok(bytes) = hex::decode(node_id) else { return node_id.to_owned() };
    let words = bytes.chunks(2).map(|pair| {
        let number = u16::from(pair[0]) << 8 | u16::from(*pair.get(1).unwrap_or(&0));
        let letters = [(12, true), (10, false), (6, true), (4, false), (0, true)];
        let letters = letters.map(|(shift, is_consonant)| {
            let bits = usize::from(number >> shift);
            if is_consonant { CONSONANTS[bits & 15] } else { VOWELS[bits & 3] }
        });
        letters.iter().collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

const CONSONANTS: [char; 16] =
    ['b', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'];
const VOWELS: [char; 4] = ['a', 'i', 'o', 'u'];

/// Whether a row as [`COLUMNS`] gives it can be read.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<()> {
    for column in 0..4 {
        row.get::<_, String>(column)?;
    }
    row.get::<_, i64>(4).map(drop)
}

pub(super) const COLUMNS: &str = "overlay, aor, node_id, state, since_ms";

const TRUSTED: &str = "trusted";
const ASKED: &str = "asked";
const REFUSED: &str = "refused";

/// The table of keys, which takes in those that were kept without their overlay.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS pins (
        overlay TEXT NOT NULL,
        aor TEXT NOT NULL,
        node_id TEXT NOT NULL,
        state TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        PRIMARY KEY (overlay, aor, node_id)
    );
    CREATE TABLE IF NOT EXISTS keys (aor TEXT PRIMARY KEY, node_id TEXT NOT NULL);
    INSERT OR IGNORE INTO pins
        SELECT substr(aor, instr(aor, '@') + 1), aor, node_id, 'trusted', 0 FROM keys;
    DROP TABLE keys;
";

// limits

/// Keys of one name that wait for an answer: a person has a few devices.
const ALARMS_OF_NAME_MAX: i64 = 4;
/// Alarms shown at once.
const ALARMS_MAX: i64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAY: &str = "example.org";
    const BOB: &str = "bob@example.org";

    fn data() -> (tempfile::TempDir, Data) {
        let dir = tempfile::tempdir().expect("a folder");
        let data = Data::open(&dir.path().join("data.db")).expect("made");
        (dir, data)
    }

    fn judge(data: &Data, node_id: &str) -> KeyStanding {
        data.judge_key(OVERLAY, BOB, node_id, 7).expect("judged")
    }

    fn answer(data: &Data, node_id: &str, answer: KeyAnswer) -> bool {
        data.answer_alarm(OVERLAY, BOB, node_id, answer).expect("answered")
    }

    /// The first key is pinned; another one is an alarm, again and again, until it is answered,
    /// and the answer is remembered.
    #[test]
    fn a_changed_key_is_an_alarm_until_it_is_answered() {
        let (dir, data) = data();
        assert_eq!(judge(&data, "aa"), KeyStanding::First);
        assert_eq!(judge(&data, "aa"), KeyStanding::Known);
        assert_eq!(data.key_alarms(), Ok(Vec::new()));
        for _ in 0..2 {
            assert_eq!(judge(&data, "bb"), KeyStanding::Alarm);
        }
        drop(data);
        let data = Data::open(&dir.path().join("data.db")).expect("opened");
        let alarms = data.key_alarms().expect("read");
        let [KeyAlarm { new, known, aor, .. }] = &alarms[..] else { panic!("{alarms:?}") };
        assert_eq!((aor.as_str(), new.node_id.as_str(), new.since_unix_ms), (BOB, "bb", 7));
        assert_eq!(known.iter().map(|k| k.node_id.as_str()).collect::<Vec<_>>(), ["aa"]);
        assert!(answer(&data, "bb", KeyAnswer::Refuse));
        assert_eq!(judge(&data, "bb"), KeyStanding::Refused);
        assert_eq!(data.key_alarms(), Ok(Vec::new()));
        // A user may think again.
        assert!(answer(&data, "bb", KeyAnswer::AnotherDevice));
        assert_eq!(
            (judge(&data, "aa"), judge(&data, "bb")),
            (KeyStanding::Known, KeyStanding::Known)
        );
        assert!(!answer(&data, "cc", KeyAnswer::AnotherDevice), "nobody asked");
        assert_eq!(judge(&data, "cc"), KeyStanding::Alarm);
    }

    /// A key in place of those before makes an alarm of them.
    #[test]
    fn a_key_may_take_the_place_of_another() {
        let (_dir, data) = data();
        judge(&data, "aa");
        judge(&data, "bb");
        assert!(answer(&data, "bb", KeyAnswer::InPlace));
        assert_eq!(
            (judge(&data, "bb"), judge(&data, "aa")),
            (KeyStanding::Known, KeyStanding::Alarm)
        );
        data.forget_keys(OVERLAY, BOB).expect("forgotten");
        assert_eq!(judge(&data, "cc"), KeyStanding::First);
    }

    /// The same name in another overlay is another name.
    #[test]
    fn keys_are_pinned_in_one_overlay() {
        let (_dir, data) = data();
        judge(&data, "aa");
        let elsewhere = data.judge_key("example.net", BOB, "bb", 7);
        assert_eq!(elsewhere, Ok(KeyStanding::First));
    }

    /// Keys that somebody makes up by the hundred stay alarms and are not kept.
    #[test]
    fn made_up_keys_are_bounded() {
        let (_dir, data) = data();
        judge(&data, "aa");
        for number in 0..100 {
            assert_eq!(judge(&data, &format!("{number:04x}")), KeyStanding::Alarm);
        }
        assert_eq!(data.key_alarms().expect("read").len(), 4);
    }

    /// A key that an earlier version has pinned is known.
    #[test]
    fn keys_pinned_before_are_known() {
        let (dir, data) = data();
        data.connection
            .execute_batch(
                "CREATE TABLE keys (aor TEXT PRIMARY KEY, node_id TEXT NOT NULL);
                 INSERT INTO keys VALUES ('bob@example.org', 'aa');",
            )
            .expect("as before");
        drop(data);
        let data = Data::open(&dir.path().join("data.db")).expect("opened");
        assert_eq!(
            (judge(&data, "aa"), judge(&data, "bb")),
            (KeyStanding::Known, KeyStanding::Alarm)
        );
    }

    #[test]
    fn a_key_can_be_read_aloud() {
        // The paper's own examples are IPv4 addresses.
        assert_eq!(key_words("7f000001"), "lusab-babad");
        assert_eq!(key_words("3f54dcc1"), "gutih-tugad");
        assert_eq!(key_words("alice"), "alice");
        assert_eq!(key_words(&"00".repeat(16)).split('-').count(), 8);
    }
}
