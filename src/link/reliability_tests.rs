use std::collections::BTreeMap;

use super::*;
use crate::base::Rng;
use crate::link::hop::QUEUE_MAX;
use crate::link::pace::limits::{PAUSE, WINDOW_INITIAL};

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn drain(connection: &mut Reliability) -> Vec<Output> {
    std::iter::from_fn(|| connection.poll()).collect()
}

fn sequence_of(output: &Output) -> Option<u32> {
    let Output::Record(record) = output else { return None };
    match Frame::read(record) {
        Ok(Frame::Data { sequence, .. }) => Some(sequence),
        _ => None,
    }
}

fn ack(ack_sequence: u32) -> Input {
    Input::Record(Frame::Ack { ack_sequence, received: 0 }.write().unwrap())
}

fn data(sequence: u32, message: &'static [u8]) -> Input {
    let message = Bytes::from_static(message);
    Input::Record(Frame::Data { sequence, message }.write().unwrap())
}

/// Runs the timers of a connection whose other side is silent: when what came out.
fn in_silence(connection: &mut Reliability) -> Vec<(u64, Output)> {
    let mut history: Vec<_> = drain(connection).into_iter().map(|output| (0, output)).collect();
    while let Some(due) = connection.deadline() {
        connection.handle(due, Input::Timeout);
        history.extend(drain(connection).into_iter().map(|output| (due.as_millis(), output)));
    }
    history
}

/// R6940-6.6.3.1-05, R6940-6.6.3.1-02, R6940-6.6.3.1-04: 500 ms at first, doubled each time.
/// R6940-6.6.3.1-06, R6940-6.6.2-02: each transmission has the next sequence number.
/// R6940-6.6.3.1-07, R6940-6.6.3.1-08: five transmissions, then the connection has failed.
#[test]
fn a_silent_peer_hears_a_message_five_times() {
    let mut sender = Reliability::default();
    sender.handle(at(0), Input::Send(Bytes::from_static(b"hello")));
    let history = in_silence(&mut sender);
    let sent: Vec<_> =
        history.iter().filter_map(|(ms, output)| Some((*ms, sequence_of(output)?))).collect();
    assert_eq!(sent, [(0, 0), (500, 1), (1500, 2), (3500, 3), (7500, 4)]);
    assert_eq!(history.last(), Some(&(15_500, Output::Failed)));
    sender.handle(at(16_000), Input::Send(Bytes::from_static(b"more")));
    assert_eq!(drain(&mut sender), []);
}

/// What the other side does not acknowledge is given out once, to go another way, while the link
/// still tries: a message after its second transmission, everything when the link is suspect.
#[test]
fn what_is_not_acknowledged_is_given_out_once() {
    let mut sender = Reliability::default();
    for number in 0..WINDOW_INITIAL as u8 + 2 {
        sender.handle(at(0), Input::Send(vec![number].into()));
    }
    let history = in_silence(&mut sender);
    let undelivered: Vec<(u64, u8)> = history
        .iter()
        .filter_map(|(ms, output)| match output {
            Output::Undelivered(message) => Some((*ms, message[0])),
            _ => None,
        })
        .collect();
    let expected = [(1500, 0), (1500, 1), (1500, 2), (1500, 3), (3500, 4), (3500, 5)];
    assert_eq!(undelivered, expected);
    let suspect = history.iter().position(|(_, output)| *output == Output::Suspect).unwrap();
    let last = history.iter().rposition(|(_, o)| matches!(o, Output::Undelivered(_))).unwrap();
    assert!(last < suspect, "whoever hears of the doubt has all messages back");

    let mut sender = Reliability::default();
    for number in 0..3u8 {
        sender.handle(at(0), Input::Send(vec![number].into()));
    }
    sender.handle(at(20), ack(1));
    drain(&mut sender);
    assert_eq!(sender.abandon(), [vec![0], vec![2]], "the link goes down for another reason");
    assert_eq!((sender.abandon().len(), sender.stats().undelivered), (0, 2));
}

/// On a link that acknowledges other messages, only the last transmission decides.
#[test]
fn a_message_that_gets_lost_alone_is_tried_to_the_end() {
    let mut sender = Reliability::default();
    sender.handle(at(0), Input::Send(Bytes::from_static(b"unlucky")));
    let mut undelivered = Vec::new();
    for ms in (100..20_000).step_by(100) {
        sender.handle(at(ms), Input::Timeout);
        sender.handle(at(ms), Input::Send(ms.to_be_bytes().to_vec().into()));
        for output in drain(&mut sender) {
            match output {
                Output::Undelivered(message) => undelivered.push((ms, message)),
                Output::Record(record) => {
                    let Ok(Frame::Data { sequence, message }) = Frame::read(&record) else {
                        panic!("no data")
                    };
                    if message != b"unlucky"[..] {
                        sender.handle(at(ms), ack(sequence));
                    }
                }
                _ => {}
            }
        }
        if sender.pending() == 0 {
            break;
        }
    }
    let [(_, message)] = &undelivered[..] else { panic!("{undelivered:?}") };
    assert_eq!(message, &b"unlucky"[..]);
    assert_eq!(sender.stats().lost, 1);
}

/// R6940-6.6.3.1-09: suspect at the third retransmission, restored by an acknowledgement.
#[test]
fn a_link_without_acknowledgements_is_suspect_until_one_comes() {
    let mut sender = Reliability::default();
    sender.handle(at(0), Input::Send(Bytes::from_static(b"hello")));
    let suspect: Vec<_> = in_silence(&mut sender)
        .into_iter()
        .filter(|(_, output)| *output == Output::Suspect)
        .map(|(ms, _)| ms)
        .collect();
    assert_eq!(suspect, [3500]);

    let mut sender = Reliability::default();
    sender.handle(at(0), Input::Send(Bytes::from_static(b"hello")));
    for ms in [500, 1500, 3500] {
        sender.handle(at(ms), Input::Timeout);
    }
    assert!(drain(&mut sender).contains(&Output::Suspect));
    // An acknowledgement of any transmission counts, here of the first.
    sender.handle(at(3600), ack(0));
    assert_eq!(drain(&mut sender), [Output::Restored]);
    assert_eq!(sender.deadline(), None);
}

/// R6940-6.6.2-03, R6940-6.6.2-04: every frame is acknowledged at once, with the mask of the
/// frames before it.
#[test]
fn acknowledgements_tell_which_frames_came_before() {
    let mut receiver = Reliability::default();
    let mut model = Vec::<u32>::new();
    let mut rng = Rng::from_number(1);
    for step in 0..500u64 {
        let sequence = (step as u32).wrapping_sub(rng.below(40) as u32).wrapping_add(20);
        let mut expected = 0;
        for earlier in model.iter().rev().take(32) {
            let distance = sequence.wrapping_sub(*earlier);
            if (1..32).contains(&distance) {
                expected |= 1 << (distance - 1);
            }
        }
        model.push(sequence);
        receiver.handle(at(step), data(sequence, b"x"));
        let Some(Output::Record(record)) = receiver.poll() else { panic!("no acknowledgement") };
        let ack = Frame::Ack { ack_sequence: sequence, received: expected };
        assert_eq!(Frame::read(&record), Ok(ack));
        drain(&mut receiver);
    }
}

/// A retransmission has a number of its own, so its bytes show what it is; an end-to-end
/// retransmission has the same bytes but comes later, and must pass.
#[test]
fn retransmissions_are_not_delivered_twice() {
    let mut receiver = Reliability::default();
    let delivered = |receiver: &mut Reliability| {
        drain(receiver).iter().filter(|output| matches!(output, Output::Deliver(_))).count()
    };
    receiver.handle(at(0), data(0, b"hello"));
    assert_eq!(delivered(&mut receiver), 1);
    receiver.handle(at(1), data(0, b"hello"));
    receiver.handle(at(500), data(1, b"hello"));
    assert_eq!(delivered(&mut receiver), 0);
    receiver.handle(at(3000), data(2, b"hello"));
    assert_eq!(delivered(&mut receiver), 1);
    assert_eq!(receiver.stats().duplicates, 2);
}

#[test]
fn a_queue_that_is_full_says_so() {
    let mut sender = Reliability::default();
    for number in 0..(QUEUE_MAX + WINDOW_INITIAL + 1) as u32 {
        sender.handle(at(0), Input::Send(number.to_be_bytes().to_vec().into()));
    }
    let dropped = drain(&mut sender)
        .into_iter()
        .filter(|output| matches!(output, Output::Dropped(_)))
        .count();
    assert_eq!(dropped, 1);
    assert_eq!(sender.pending(), QUEUE_MAX + WINDOW_INITIAL);
}

/// A timeout shuts the window to one message.
#[test]
fn loss_closes_the_window() {
    let mut sender = Reliability::default();
    for number in 0..40u8 {
        sender.handle(at(0), Input::Send(vec![number].into()));
    }
    assert_eq!(drain(&mut sender).len(), WINDOW_INITIAL);
    sender.handle(at(500), Input::Timeout);
    drain(&mut sender);
    // The retransmissions are acknowledged one by one; no new message goes out until the
    // window has room again.
    sender.handle(at(510), ack(4));
    assert_eq!(drain(&mut sender), []);
}

/// A message that the others have overtaken is sent again without waiting for its timeout, unless
/// an acknowledgement says that it has arrived after all.
#[test]
fn a_gap_is_closed_as_soon_as_it_shows() {
    for (received, closed) in [(0b0011, true), (0b0111, false)] {
        let mut sender = Reliability::default();
        for number in 0..4u8 {
            sender.handle(at(0), Input::Send(vec![number].into()));
        }
        drain(&mut sender);
        sender.handle(at(100), ack(1));
        sender.handle(at(120), ack(2));
        let frame = Frame::Ack { ack_sequence: 3, received };
        sender.handle(at(140), Input::Record(frame.write().unwrap()));
        let again: Vec<_> = drain(&mut sender).iter().filter_map(sequence_of).collect();
        assert_eq!(again, if closed { vec![4] } else { vec![] });
    }
}

/// R6940-6.6.3.1-01, R6940-6.6.3.1-10: the stop-and-wait sender has one message on its way, however
/// often that is sent, and waits 10 ms after each acknowledgement.
#[test]
fn stop_and_wait_does_both() {
    let mut ends = [Reliability::new(SenderKind::StopAndWait), Reliability::default()];
    let mut path =
        Lossy { rng: Rng::from_number(4), loss_percent: 5, queue: BTreeMap::new(), counter: 0 };
    let mut now = Instant::ORIGIN;
    for number in 0..50u32 {
        ends[0].handle(now, Input::Send(number.to_be_bytes().to_vec().into()));
    }
    let (mut on_its_way, mut acknowledged) = (BTreeMap::new(), Vec::<(Instant, Bytes)>::new());
    let mut sent = Vec::new();
    loop {
        for (side, end) in ends.iter_mut().enumerate() {
            while let Some(output) = end.poll() {
                assert_ne!(output, Output::Suspect);
                let Output::Record(record) = output else { continue };
                if let (0, Ok(Frame::Data { sequence, message })) = (side, Frame::read(&record)) {
                    on_its_way.insert(sequence, message.clone());
                    sent.push((now, message));
                }
                path.send(now, 1 - side, record);
            }
        }
        let arrival = path.queue.first_key_value().map(|((due, _), _)| *due);
        let timers = ends.iter().filter_map(Reliability::deadline).min();
        let Some(next) = [arrival, timers].into_iter().flatten().min() else { break };
        now = next;
        if arrival == Some(next) {
            let (_, (to, record)) = path.queue.pop_first().unwrap();
            if let (0, Ok(Frame::Ack { ack_sequence, .. })) = (to, Frame::read(&record)) {
                let message = on_its_way[&ack_sequence].clone();
                if acknowledged.last().is_none_or(|(_, last)| *last != message) {
                    acknowledged.push((now, message));
                }
            }
            ends[to].handle(now, Input::Record(record));
        } else {
            ends.iter_mut().for_each(|end| end.handle(now, Input::Timeout));
        }
    }
    assert!(sent.len() > 50, "{} sent, some of them again", sent.len());
    assert_eq!(acknowledged.len(), 50, "in their order");
    sent.dedup_by(|later, earlier| later.1 == earlier.1);
    assert_eq!(sent.len(), 50, "none is sent before the one ahead of it is acknowledged");
    for ((acknowledged, _), (next, _)) in acknowledged.iter().zip(&sent[1..]) {
        assert_eq!(*next, *acknowledged + PAUSE, "at once after the pause");
    }
}

/// What a saturated sender did on a slow path, second by second.
struct Saturated {
    sent: Vec<u64>,
    delivered: u64,
    overflowed: u64,
    /// The most that has waited at the bottleneck, in milliseconds.
    delay_ms_max: u64,
}

/// A sender that always has more to say, on a path of 100 kbit/s with room for one second, 50 ms
/// each way and 2 % loss, which is dark from the 60th to the 85th second.
fn saturate(seconds: u64) -> Saturated {
    const LENGTH: usize = 1000;
    let micros_each = (LENGTH as u64 + 8 + 37 + 28) * 8 * 10;
    let mut rng = Rng::from_number(9);
    let mut ends = [Reliability::default(), Reliability::default()];
    let mut queue = BTreeMap::new();
    let (mut now, mut free, mut made) = (Instant::ORIGIN, Instant::ORIGIN, 0u64);
    let mut run =
        Saturated { sent: vec![0; seconds as usize], delivered: 0, overflowed: 0, delay_ms_max: 0 };
    while now < at(seconds * 1000) {
        while ends[0].pending() < 64 {
            made += 1;
            let message = [&made.to_be_bytes()[..], &[0; LENGTH - 8]].concat();
            ends[0].handle(now, Input::Send(message.into()));
        }
        let is_dark = (at(60_000)..at(85_000)).contains(&now);
        for (side, end) in ends.iter_mut().enumerate() {
            while let Some(output) = end.poll() {
                made += 1;
                match output {
                    Output::Record(record) if side == 0 => {
                        run.sent[(now.as_millis() / 1000) as usize] += 1;
                        let waits = free.saturating_since(now);
                        if is_dark || rng.below(100) < 2 {
                            continue;
                        }
                        if waits > Duration::from_secs(1) {
                            run.overflowed += 1;
                            continue;
                        }
                        run.delay_ms_max = run.delay_ms_max.max(waits.as_millis() as u64);
                        free = free.max(now) + Duration::from_micros(micros_each);
                        queue.insert((free + Duration::from_millis(50), made), (1, record));
                    }
                    Output::Record(record) => {
                        queue.insert((now + Duration::from_millis(50), made), (0, record));
                    }
                    Output::Deliver(_) => run.delivered += 1,
                    Output::Failed => panic!("the link failed at {now:?}"),
                    _ => {}
                }
            }
        }
        let arrival = queue.first_key_value().map(|((due, _), _)| *due);
        let timers = ends.iter().filter_map(Reliability::deadline).min();
        now = [arrival, timers].into_iter().flatten().min().expect("it never rests").max(now);
        if arrival == Some(now) {
            let (_, (to, record)) = queue.pop_first().expect("not empty");
            ends[to].handle(now, Input::Record(record));
        } else {
            ends.iter_mut().for_each(|end| end.handle(now, Input::Timeout));
        }
    }
    run
}

/// R6940-6.6.3-01: a sender that always has more fills a slow path, and no more: little of what it
/// sends overflows, and when nothing comes back it all but stops (RFC 8085 §3.1).
#[test]
fn a_slow_path_is_filled_and_not_flooded() {
    let run = saturate(110);
    let capacity = 60 * 100_000 / 8 / 1073;
    let steady: u64 = run.sent[..60].iter().sum();
    eprintln!(
        "{steady} of {capacity} frames, {} overflowed, queue up to {} ms; {:?} in the dark",
        run.overflowed,
        run.delay_ms_max,
        &run.sent[60..86]
    );
    assert!(steady <= capacity * 11 / 10, "{steady} frames of {capacity}");
    assert!(steady >= capacity * 7 / 10, "{steady} frames of {capacity}");
    assert!(run.overflowed * 100 < steady * 3, "{} of {steady} overflowed", run.overflowed);
    let dark: u64 = run.sent[75..85].iter().sum();
    assert!(dark * 5 < capacity / 6, "{dark} frames in 10 s without an answer");
    assert!(run.sent[100..].iter().sum::<u64>() > 10 * 6, "it comes back");
}

struct Lossy {
    rng: Rng,
    loss_percent: u64,
    queue: BTreeMap<(Instant, u64), (usize, Bytes)>,
    counter: u64,
}

impl Lossy {
    fn send(&mut self, now: Instant, to: usize, record: Bytes) {
        self.counter += 1;
        if self.rng.below(100) >= self.loss_percent {
            let delay = Duration::from_millis(20 + self.rng.below(60));
            self.queue.insert((now + delay, self.counter), (to, record));
        }
    }
}

/// Two connections over a path that loses and reorders: what each was handed, in order.
fn run_lossy(seed: u64, loss_percent: u64, messages: u32) -> (Vec<u32>, [Stats; 2]) {
    let mut ends = [Reliability::default(), Reliability::default()];
    let mut path =
        Lossy { rng: Rng::from_number(seed), loss_percent, queue: BTreeMap::new(), counter: 0 };
    let mut delivered = Vec::new();
    let mut now = Instant::ORIGIN;
    for number in 0..messages {
        ends[0].handle(now, Input::Send(number.to_be_bytes().to_vec().into()));
    }
    loop {
        for (side, end) in ends.iter_mut().enumerate() {
            while let Some(output) = end.poll() {
                match output {
                    Output::Record(record) => path.send(now, 1 - side, record),
                    Output::Deliver(message) => {
                        delivered.push(u32::from_be_bytes(message[..].try_into().unwrap()));
                    }
                    Output::Failed => panic!("seed {seed}: the link failed"),
                    _ => {}
                }
            }
        }
        let arrival = path.queue.first_key_value().map(|((due, _), _)| *due);
        let timers = ends.iter().filter_map(Reliability::deadline).min();
        let Some(next) = [arrival, timers].into_iter().flatten().min() else { break };
        now = next;
        if arrival == Some(next) {
            let ((..), (to, record)) = path.queue.pop_first().unwrap();
            ends[to].handle(now, Input::Record(record));
        } else {
            ends.iter_mut().for_each(|end| end.handle(now, Input::Timeout));
        }
    }
    let stats = [ends[0].stats(), ends[1].stats()];
    (delivered, stats)
}

#[test]
fn every_message_arrives_once_over_a_bad_path() {
    for seed in 0..50 {
        let (mut delivered, [sender, _]) = run_lossy(seed, 5, 200);
        delivered.sort_unstable();
        assert_eq!(delivered, (0..200).collect::<Vec<_>>(), "seed {seed}: {sender:?}");
    }
}

/// At a loss of one in four in each direction the link stays up.
#[test]
fn heavy_loss_does_not_close_the_link() {
    for seed in 0..50 {
        let (delivered, [sender, receiver]) = run_lossy(seed, 25, 60);
        assert!(sender.lost <= 6, "seed {seed}: {sender:?}");
        assert!(delivered.len() as u64 + sender.lost >= 60, "seed {seed}");
        assert!(receiver.duplicates > 0, "seed {seed}: acknowledgements are lost too");
    }
}
