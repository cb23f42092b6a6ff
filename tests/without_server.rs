//! People who talk in an overlay whose server is killed.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chordial::media::SAMPLE_RATE;
use hound::{WavReader, WavWriter};
use serde_json::Value;
use support::served::Served;
use support::{PATIENCE, Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard, assert_heard_from};

/// R6940-11.3-12: ten enrolled peers talk in five calls while the server, which is a peer too, is
/// killed. Nobody stops hearing the other. Afterwards the callers, started again with what they
/// have by way of a peer that is left, find others by name and talk to them.
#[test]
fn ten_who_talk_do_not_miss_the_server() {
    let mut served = Served::open();
    let (long_alice, long_bob) = (long(&served, SPEECH_ALICE), long(&served, SPEECH_BOB));
    let callees = ["bob", "carol", "dave", "erin", "frank"];
    let callers = ["grace", "heidi", "ivan", "judy", "alice"];
    let mut phones: Vec<Phone> = callees
        .iter()
        .map(|user| served.phone(&["peer", "--answer", "--play", text(&long_bob)], user, user))
        .collect();
    let joined: Vec<Value> = phones.iter_mut().map(|phone| phone.wait("joined")).collect();
    phones.iter_mut().for_each(|phone| drop(phone.wait("registered")));
    let mut calls: Vec<Phone> = callers
        .iter()
        .zip(callees)
        .map(|(from, to)| {
            call(&served, from, to, &["--seconds", LONG_S, "--play", text(&long_alice)])
        })
        .collect();
    for talking in calls.iter_mut().chain(&mut phones) {
        talking.wait("answered");
    }
    served.server.kill();
    let everybody = callers.into_iter().chain(callees);
    let recordings: Vec<PathBuf> = everybody.map(|user| served.heard_by(user)).collect();
    let killed_at: Vec<usize> = recordings.iter().map(|recording| samples(recording)).collect();
    for (recording, killed_at) in recordings.iter().zip(&killed_at) {
        wait_for(recording, killed_at + HEARD_AFTERWARDS);
    }
    for (call, phone) in calls.iter_mut().zip(&mut phones) {
        call.interrupt();
        let ended = [call.wait("ended"), phone.wait("ended")];
        for ended in ended {
            let count = |name: &str| ended[name].as_u64().expect("a count");
            let (received, lost) = (count("packets_received"), count("packets_lost"));
            assert!(lost <= received / 10, "{ended}");
        }
        call.finish();
    }
    let said = callers.map(|_| &long_bob).into_iter().chain(callees.map(|_| &long_alice));
    for ((recording, said), killed_at) in recordings.iter().zip(said).zip(killed_at) {
        assert_heard_from(said, recording, killed_at);
    }
    drop(calls);

    let mut calls: Vec<Phone> = callers
        .iter()
        .zip(callees.iter().cycle().skip(1))
        .map(|(from, to)| {
            let through = joined[0]["listen"].as_str().expect("an address");
            let options = ["--seconds", SHORT_S, "--play", SPEECH_ALICE, "--bootstrap", through];
            call(&served, from, to, &options)
        })
        .collect();
    for (call, from) in calls.iter_mut().zip(callers) {
        let (code, events) = call.finish();
        assert_eq!(code, 0, "{from}: {events:?}\n{}", call.stderr());
        assert_heard(SPEECH_BOB, &served.heard_by(from));
    }
}

fn call(served: &Served, from: &str, to: &str, options: &[&str]) -> Phone {
    served.phone(&[&["call", to], options].concat(), from, from)
}

/// Speech that goes on and on.
fn long(served: &Served, speech: &str) -> PathBuf {
    let path = served.path(Path::new(speech).file_name().expect("a file").to_str().expect("ASCII"));
    let mut reader = WavReader::open(speech).expect("speech");
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().expect("of 16 bits");
    let mut writer = WavWriter::create(&path, reader.spec()).expect("a file");
    for sample in samples.iter().cycle().take(samples.len() * REPETITIONS) {
        writer.write_sample(*sample).expect("written");
    }
    writer.finalize().expect("written");
    path
}

/// How much a phone has recorded so far: a header of 44 bytes, and samples of two.
fn samples(recording: &Path) -> usize {
    let bytes = std::fs::metadata(recording).map_or(0, |file| file.len());
    usize::try_from(bytes.saturating_sub(44) / 2).expect("short")
}

/// Waits until a phone has recorded this much.
fn wait_for(recording: &Path, wanted: usize) {
    let until = Instant::now() + PATIENCE;
    while samples(recording) < wanted {
        assert!(Instant::now() < until, "{}: {}", recording.display(), samples(recording));
        std::thread::sleep(LOOK);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Longer than any of this takes: these calls are hung up.
const LONG_S: &str = "600";
/// Enough for words to be recognised.
const SHORT_S: &str = "4";
/// Speech of five seconds for as long as everybody needs to be there.
const REPETITIONS: usize = 24;
/// What everybody has to hear when the server is gone: most of what is said in five seconds.
const HEARD_AFTERWARDS: usize = 6 * SAMPLE_RATE as usize;
/// How often a recording is looked at.
const LOOK: Duration = Duration::from_millis(250);
