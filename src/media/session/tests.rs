//! Two sessions and a virtual network between them, on a virtual clock.

use super::*;
use crate::media::compare::correlation;
use crate::media::quality::Estimate;
use crate::media::wav::read_wav;

/// What the network between two sessions does.
#[derive(Clone, Copy)]
struct Network {
    delay_us: u64,
    jitter_us: u64,
    loss: f64,
}

/// A call in a box.
struct Call {
    sessions: [AudioSession; 2],
    /// Datagrams under way: when they arrive, at whom.
    under_way: Vec<(u64, usize, Bytes)>,
    network: Network,
    /// How many datagrams in a row are lost on average, and whether the last one was, each way.
    burst: f64,
    is_losing: [bool; 2],
    rng: Rng,
    now_us: u64,
}

fn session(role: DtlsRole, seed: u64) -> AudioSession {
    let mut rng = Rng::from_number(seed);
    let settings = SessionSettings {
        send: Format::opus(111),
        receive: vec![Format::opus(111)],
        in_band_fec: true,
        copies: Some(PayloadTypes { send: 63, receive: 63 }),
        dtx: false,
        bitrate_max: None,
        digits: Some(PayloadTypes { send: 101, receive: 101 }),
        direction: Direction::SendRecv,
        cname: rng.ice_string(16),
    };
    let keying: Vec<u8> = (0..60).collect();
    let keys = SrtpKeys { profile: Profile::Aes128CmHmacSha1_80, keying: &keying, role };
    let now = Now::new(Instant::from_micros(1_000_000), 1_700_000_000_000);
    AudioSession::new(now, settings, keys, rng).expect("good keys")
}

impl Call {
    fn new(seed: u64, network: Network) -> Self {
        Self {
            sessions: [session(DtlsRole::Client, seed), session(DtlsRole::Server, seed + 1000)],
            under_way: Vec::new(),
            network,
            burst: 1.0,
            is_losing: [false; 2],
            rng: Rng::from_number(seed + 2000),
            now_us: 1_000_000,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.now_us)
    }

    /// One tick of 20 ms: both are given a frame, both give one. Datagrams arrive on the
    /// millisecond, as they would between two ticks.
    fn tick(&mut self, frames: [&Frame; 2]) -> [Frame; 2] {
        for (session, frame) in self.sessions.iter_mut().zip(frames) {
            session.capture(Instant::from_micros(self.now_us), frame);
        }
        for _ in 0..20 {
            self.now_us += 1000;
            self.deliver();
        }
        let now = self.now();
        self.sessions.each_mut().map(|session| session.playout(now))
    }

    fn deliver(&mut self) {
        let now = self.now();
        for index in 0..2 {
            let session = &mut self.sessions[index];
            if session.deadline().is_some_and(|deadline| deadline <= now) {
                session.handle_timeout(now);
            }
            while let Some(datagram) = session.poll() {
                let Network { delay_us, jitter_us, loss } = self.network;
                let arrival = self.now_us + delay_us + self.rng.below(jitter_us + 1);
                let chance = match self.is_losing[index] {
                    _ if self.burst <= 1.0 => loss,
                    true => 1.0 - 1.0 / self.burst,
                    false => loss / (1.0 - loss) / self.burst,
                };
                self.is_losing[index] = self.rng.unit() < chance;
                if !self.is_losing[index] {
                    self.under_way.push((arrival, 1 - index, datagram));
                }
            }
        }
        let (due, later): (Vec<_>, Vec<_>) =
            self.under_way.drain(..).partition(|(at, ..)| *at <= self.now_us);
        self.under_way = later;
        for (_, to, datagram) in due {
            self.sessions[to].receive(now, &datagram);
        }
    }

    /// Both speak from a recording; what each hears.
    fn talk(&mut self, said: [&[f32]; 2], ticks: usize) -> [Vec<f32>; 2] {
        let mut heard = [Vec::new(), Vec::new()];
        for tick in 0..ticks {
            let frames = said.map(|sound| {
                let rest = sound.get(tick * FRAME_SAMPLES..).unwrap_or_default();
                std::array::from_fn(|index| rest.get(index).copied().unwrap_or(0.0))
            });
            let out = self.tick([&frames[0], &frames[1]]);
            heard[0].extend(out[0]);
            heard[1].extend(out[1]);
        }
        heard
    }
}

fn speech() -> [Vec<f32>; 2] {
    ["speech-alice.wav", "speech-bob.wav"].map(|name| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        read_wav(&folder.join(name)).expect("speech that ships with the program")
    })
}

/// How well each hears the other.
fn coefficients(network: Network, seed: u64) -> ([f32; 2], Call) {
    let said = speech();
    let mut call = Call::new(seed, network);
    let heard = call.talk([&said[0], &said[1]], 350);
    let of = |said: &[f32], heard: &[f32]| correlation(said, heard, 48_000).coefficient;
    ([of(&said[1], &heard[0]), of(&said[0], &heard[1])], call)
}

#[test]
fn speech_gets_through_a_good_network() {
    let network = Network { delay_us: 30_000, jitter_us: 5_000, loss: 0.0 };
    let (fits, call) = coefficients(network, 1);
    assert!(fits.iter().all(|fit| *fit > 0.9), "{fits:?}");
    for session in &call.sessions {
        let figures = session.statistics();
        assert_eq!(figures.packets_sent, 350);
        assert!(figures.packets_received >= 347, "{figures:?}");
        assert_eq!(figures.packets_lost, 0);
        assert!(figures.sound_sent && figures.sound_received);
        assert!(figures.buffer_delay < Duration::from_millis(60), "{figures:?}");
        assert!(figures.jitter < Duration::from_millis(5), "{figures:?}");
        assert_eq!(figures.packets_refused, 0);
    }
}

#[test]
fn speech_gets_through_loss_and_jitter() {
    let network = Network { delay_us: 50_000, jitter_us: 40_000, loss: 0.05 };
    for seed in 1..4 {
        let (fits, call) = coefficients(network, seed);
        assert!(fits.iter().all(|fit| *fit > 0.75), "seed {seed}: {fits:?}");
        let figures = call.sessions[0].statistics();
        assert!((0.01..0.12).contains(&figures.loss_received), "{figures:?}");
        assert!(figures.buffer.recovered + figures.buffer.copied > 0, "{figures:?}");
        assert!(figures.loss_sent > 0.0, "the other side reported it: {figures:?}");
    }
}

/// Ten of a hundred lost: with copies hardly any of it is heard, without them the codec's own
/// redundancy helps.
#[test]
fn copies_and_redundancy_are_sent_when_packets_are_lost() {
    let network = Network { delay_us: 40_000, jitter_us: 2_000, loss: 0.1 };
    let run = |copies| {
        let mut call = Call::new(20, network);
        for session in &mut call.sessions {
            session.settings.copies = copies;
            session.path = crate::media::path::Path::new(None, copies.is_some());
        }
        let said = speech();
        call.talk([&said[0], &said[1]], 250);
        call.sessions[0].statistics().buffer
    };
    let with = run(Some(PayloadTypes { send: 63, receive: 63 }));
    let without = run(None);
    assert!(with.copied >= 8 && with.lost * 2 <= without.lost, "{with:?} and {without:?}");
    assert!(without.copied == 0 && without.recovered > 0, "{without:?}");
}

/// The other side tells which packets it lost (RFC 3611 §4.1): copies are sent as far behind as to
/// survive losses in a row, and no farther.
#[test]
fn copies_are_as_far_behind_as_needed() {
    let run = |burst, seed| {
        let mut call = Call::new(seed, Network { delay_us: 40_000, jitter_us: 0, loss: 0.1 });
        call.burst = burst;
        call.talk([&[], &[]], 1500);
        let before = call.sessions[1].statistics();
        call.talk([&[], &[]], 1500);
        let after = call.sessions[1].statistics();
        let lost = after.packets_lost - before.packets_lost;
        let missed = after.buffer.lost - before.buffer.lost;
        assert!(missed * 6 < lost, "{missed} of {lost} in bursts of {burst}");
        call.sessions[0].path.plan().distances
    };
    for seed in 40..43 {
        assert_eq!((run(1.0, seed), run(3.0, seed)), (&[2, 1][..], &[6, 3][..]));
    }
}

/// Nobody has reported loss yet, and hardly any is heard.
#[test]
fn the_first_words_get_through_loss() {
    let (mut lost, mut missed) = (0, 0);
    for seed in 30..36 {
        let mut call = Call::new(seed, Network { delay_us: 20_000, jitter_us: 0, loss: 0.1 });
        let [said, _] = speech();
        call.talk([&said, &[]], 75);
        let figures = call.sessions[1].statistics();
        lost += figures.packets_lost;
        missed += figures.buffer.lost;
    }
    assert!(lost > 20 && missed * 3 < lost, "{missed} of {lost}");
}

#[test]
fn silence_is_not_sent_and_the_voice_behind_it_is_whole() {
    let mut call = Call::new(21, Network { delay_us: 20_000, jitter_us: 2_000, loss: 0.0 });
    for session in &mut call.sessions {
        session.encoder = Encoder::new(Codec::Opus, true, true).expect("an encoder");
    }
    let said = speech();
    let mut sound = vec![0.0; 4 * 48_000];
    sound.extend(&said[0]);
    let heard = call.talk([&sound, &[]], 430);
    let fit = correlation(&sound, &heard[1], 48_000).coefficient;
    assert!(fit > 0.8, "{fit}");
    let figures = call.sessions[1].statistics();
    assert!(figures.packets_received < 330, "{figures:?}");
    assert_eq!((figures.packets_lost, figures.buffer.lost), (0, 0), "{figures:?}");
}

/// RFC 3551 §4.5.14: in the sound of a telephone speech comes through a network that loses some of
/// it, keys are heard, and the reports' clock is that of the codec. Either side may change to
/// another codec that was agreed on.
#[test]
fn the_sound_of_a_telephone() {
    let mut call = Call::new(8, Network { delay_us: 40_000, jitter_us: 5_000, loss: 0.02 });
    let [pcmu, pcma] = [(Codec::Pcmu, 0), (Codec::Pcma, 8)]
        .map(|(codec, payload_type)| Format { codec, payload_type });
    for session in &mut call.sessions {
        let digits = Some(PayloadTypes { send: 100, receive: 100 });
        let receive = vec![pcmu, pcma];
        let settings = session.settings.clone();
        let settings = SessionSettings { send: pcmu, receive, copies: None, digits, ..settings };
        session.change(settings).expect("a codec");
    }
    let said = speech();
    let heard = call.talk([&said[0], &said[1]], 150);
    assert!(fit(&said[1], &heard[0]) > 0.8, "{}", fit(&said[1], &heard[0]));
    let key = Digit::from_char('7').expect("a key");
    assert!(call.sessions[0].send_digit(key, Duration::from_millis(100)));
    call.talk([&[], &[]], 50);
    assert_eq!(call.sessions[1].take_digit(), Some(key));

    let settings = SessionSettings { send: pcma, ..call.sessions[0].settings.clone() };
    call.sessions[0].change(settings).expect("a codec");
    let heard = call.talk([&said[0], &said[1]], 350);
    assert!(fit(&said[0], &heard[1]) > 0.8, "{}", fit(&said[0], &heard[1]));
    let figures = call.sessions[1].statistics();
    assert!(figures.jitter < Duration::from_millis(10), "{figures:?}");
    let there = figures.jitter_sent.expect("a report has come");
    assert!(there < Duration::from_millis(10), "{there:?}");
}

fn fit(said: &[f32], heard: &[f32]) -> f32 {
    let said = &said[..said.len().min(heard.len())];
    correlation(said, heard, 48_000).coefficient
}

#[test]
fn round_trip_time_is_measured() {
    let network = Network { delay_us: 73_000, jitter_us: 0, loss: 0.0 };
    let mut call = Call::new(5, network);
    call.talk([&[], &[]], 800);
    for session in &call.sessions {
        let round_trip = session.statistics().round_trip.expect("reports have come");
        // The virtual network delivers on the next millisecond.
        assert!(round_trip.abs_diff(Duration::from_millis(146)) <= Duration::from_millis(3));
        assert!(!session.statistics().sound_received, "nobody said anything");
    }
}

/// Each side tells the other what it hears (RFC 3611 §4.7), and both know what it is worth.
#[test]
fn what_is_heard_is_told_and_estimated() {
    let run = |network| {
        let mut call = Call::new(22, network);
        for session in &mut call.sessions {
            session.settings.copies = None;
            session.settings.in_band_fec = false;
            session.encoder = Encoder::new(Codec::Opus, false, false).expect("an encoder");
        }
        let said = speech();
        call.talk([&said[0], &said[1]], 800);
        call.sessions.map(|session| session.statistics())
    };
    for figures in run(Network { delay_us: 30_000, jitter_us: 2_000, loss: 0.0 }) {
        let (here, there) = (figures.heard.expect("heard"), figures.heard_there.expect("told"));
        assert!(here.mos > 4.2 && there.mos > 4.2, "{figures:?}");
        assert!(figures.missed_there < 0.01 && figures.jitter_sent.is_some(), "{figures:?}");
    }
    for figures in run(Network { delay_us: 30_000, jitter_us: 2_000, loss: 0.2 }) {
        let (here, there) = (figures.heard.expect("heard"), figures.heard_there.expect("told"));
        assert!((1.5..3.2).contains(&here.mos), "{figures:?}");
        assert!((1.5..3.4).contains(&there.mos), "{figures:?}");
        assert!((0.1..0.3).contains(&figures.missed_there), "{figures:?}");
        assert!(!figures.is_late);
    }
    for figures in run(Network { delay_us: 600_000, jitter_us: 0, loss: 0.0 }) {
        assert!(figures.is_late && figures.heard.is_some_and(|heard| heard.r_factor < 60.0));
    }
}

/// Whoever was heard badly and is silent since is not judged by what was long ago, and learns that
/// nothing is known of it.
#[test]
fn silence_is_not_judged() {
    let mut call = Call::new(25, Network { delay_us: 600_000, jitter_us: 0, loss: 0.0 });
    let said = speech();
    call.talk([&said[0], &said[1]], 800);
    let is_bad = |heard: Option<Estimate>| heard.is_some_and(|heard| heard.r_factor < 60.0);
    assert!(is_bad(call.sessions[0].statistics().heard));
    assert!(is_bad(call.sessions[1].statistics().heard_there));
    call.sessions[1].set_direction(Direction::RecvOnly);
    call.talk([&said[0], &[]], 1000);
    let figures = call.sessions[0].statistics();
    assert_eq!((figures.heard, figures.is_late), (None, false));
    let figures = call.sessions[1].statistics();
    assert_eq!(figures.heard_there, None);
    assert!(is_bad(figures.heard), "Alice goes on talking");
}

#[test]
fn a_session_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<AudioSession>();
}

#[test]
fn the_end_is_announced_and_final() {
    let mut call = Call::new(6, Network { delay_us: 10_000, jitter_us: 0, loss: 0.0 });
    let said = speech();
    call.talk([&said[0], &said[1]], 50);
    let now = call.now();
    call.sessions[0].end(now);
    assert_eq!(call.sessions[0].deadline(), None);
    call.talk([&[], &[]], 10);
    assert!(call.sessions[1].peer_said_goodbye() && !call.sessions[0].peer_said_goodbye());
    assert_eq!(call.sessions[0].statistics().packets_sent, 50);
}

#[test]
fn forged_and_replayed_datagrams_change_nothing() {
    let mut alice = session(DtlsRole::Client, 8);
    let mut bob = session(DtlsRole::Server, 9);
    let now = Instant::from_micros(1_000_000);
    alice.capture(now, &[0.1; FRAME_SAMPLES]);
    let datagram = alice.poll().expect("a packet");
    let mut forged = datagram.to_vec();
    forged[20] ^= 1;
    bob.receive(now, &forged);
    assert_eq!(bob.statistics().packets_received, 0);
    bob.receive(now, &datagram);
    bob.receive(now, &datagram);
    bob.receive(now, b"\x80");
    bob.receive(now, &[0x80; 3000]);
    let figures = bob.statistics();
    assert_eq!((figures.packets_received, figures.packets_refused), (1, 4));
}

#[test]
fn a_flood_is_bounded() {
    let mut alice = session(DtlsRole::Client, 10);
    let mut bob = session(DtlsRole::Server, 11);
    let now = Instant::from_micros(1_000_000);
    for _ in 0..5_000 {
        alice.capture(now, &SILENCE);
        assert!(alice.outbound.len() <= OUTBOUND_MAX);
        let datagram = alice.poll().expect("a packet");
        bob.receive(now, &datagram);
    }
    assert!(bob.jitter.len() <= crate::media::jitter::limits::PACKETS_MAX);
    for _ in 0..1_000 {
        alice.capture(now, &SILENCE);
    }
    assert_eq!(alice.outbound.len(), OUTBOUND_MAX);
    bob.playout(now);
    assert!(bob.decoded.len() <= 2 * crate::media::codec::PACKET_SAMPLES_MAX);
}

/// Digits cross loss, in order and once each, and the sound goes on behind them.
#[test]
fn digits_are_heard_by_the_other_side() {
    let mut call = Call::new(14, Network { delay_us: 20_000, jitter_us: 5_000, loss: 0.2 });
    let said = speech();
    call.talk([&said[0], &said[1]], 20);
    for label in "4711#".chars() {
        let digit = Digit::from_char(label).expect("a key");
        assert!(call.sessions[0].send_digit(digit, Duration::from_millis(100)));
    }
    let heard = call.talk([&said[0], &said[1]], 120);
    let digits: String =
        std::iter::from_fn(|| call.sessions[1].take_digit()).map(Digit::to_char).collect();
    assert_eq!(digits, "4711#");
    assert!(call.sessions[0].take_digit().is_none());
    assert!(heard[1][80 * FRAME_SAMPLES..].iter().any(|sample| sample.abs() > 0.1));
    let mut plain = session(DtlsRole::Client, 15);
    plain.settings.digits = None;
    assert!(!plain.send_digit(Digit::from_char('1').expect("a key"), Duration::from_millis(100)));
}

/// Keys are heard of who has not said anything yet, and the sound that follows is played.
#[test]
fn digits_come_before_any_sound() {
    let mut call = Call::new(16, Network { delay_us: 20_000, jitter_us: 0, loss: 0.0 });
    let said = speech();
    let one = Digit::from_char('1').expect("a key");
    assert!(call.sessions[0].send_digit(one, Duration::from_millis(60)));
    let heard = call.talk([&said[0], &said[1]], 60);
    assert_eq!(call.sessions[1].take_digit(), Some(one));
    assert_eq!(call.sessions[1].take_digit(), None);
    assert!(heard[1][30 * FRAME_SAMPLES..].iter().any(|sample| sample.abs() > 0.1));
    assert_eq!(call.sessions[1].statistics().packets_lost, 0);
}

/// A payload of 60 ms, as others may send it, is played in three frames.
#[test]
fn other_packet_times_are_played() {
    let mut alice = session(DtlsRole::Client, 12);
    let mut bob = session(DtlsRole::Server, 13);
    let mut encoder =
        opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).expect("opus");
    let tone: Vec<f32> = (0..48_000).map(|at| (at as f32 * 0.05).sin() * 0.3).collect();
    let mut heard = Vec::new();
    for tick in 0..50u64 {
        let now = Instant::from_micros(1_000_000 + tick * 20_000);
        if tick % 3 == 0 && tick < 48 {
            let from = tick as usize * FRAME_SAMPLES;
            let payload =
                encoder.encode_vec_float(&tone[from..from + 2880], 1000).expect("a packet");
            let header = rtp::header::Header {
                version: 2,
                payload_type: 111,
                sequence_number: tick as u16 / 3,
                timestamp: from as u32,
                ssrc: 77,
                ..Default::default()
            };
            let packet = rtp::packet::Packet { header, payload: payload.into() };
            let packet = packet.marshal().expect("a packet");
            let srtp = alice.srtp.as_mut().expect("keys");
            let sealed = srtp.protect_rtp(&packet).expect("a packet");
            bob.receive(now, &sealed);
        }
        heard.extend(bob.playout(now));
    }
    let loud = heard.chunks(960).filter(|f| f.iter().any(|s| s.abs() > 0.2)).count();
    assert!(loud >= 43, "{loud} of 48 frames");
    assert_eq!(bob.statistics().packets_lost, 0);
}
