//! A call's sound on bare RTP, in a task of its own: a frame every 20 ms.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::base::{Now, Rng};
use crate::link::{Clock, os_seed, unix_ms};
use crate::media::sdp::PlainNegotiated;
use crate::media::{
    AudioSession, AudioStatistics, CallRecorder, ConferencePort, DatagramKind, Digit,
    SessionSettings,
};
use crate::phone::turns::{Turn, Turns};
use crate::phone::voice::{Voice, Who};

/// A running call's sound; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct BareSound {
    control: mpsc::Sender<Control>,
}

enum Control {
    /// Both sides have agreed anew.
    Change {
        remote: SocketAddr,
        settings: SessionSettings,
    },
    /// The other side hears nothing of us, or does again.
    Hold(bool),
    /// Our microphone is cut off, or let in again.
    Mute(bool),
    Press(Digit),
    /// Both sides are recorded, or no more.
    Record(Option<CallRecorder>),
    /// This call is connected with another one.
    Join(ConferencePort),
    /// It is connected with none any more.
    Part,
    /// Let somebody else talk.
    HandOver(Who),
}

/// What a call's sound reports.
#[derive(Debug)]
pub(super) enum SoundReport {
    /// Something can't be used: one sentence. The call goes on without.
    Fault(String),
    /// The other side has pressed a key.
    Digit(Digit),
    /// Figures, several times a second and a last time at the end.
    Statistics(Box<AudioStatistics>),
    /// The answering machine has taken the message.
    MessageTaken,
    /// All is over and written.
    Over,
}

impl BareSound {
    /// Begins on a socket whose address the other side knows.
    pub(super) fn start(
        socket: UdpSocket,
        negotiated: &PlainNegotiated,
        who: Who,
        report: impl Fn(SoundReport) + Send + Sync + 'static,
    ) -> Self {
        let (control, inbox) = mpsc::channel(CHANGES_MAX);
        let mut rng = Rng::new(os_seed());
        let settings = settings(negotiated, &mut rng);
        let (remote, has_mux) = (negotiated.remote.address, negotiated.remote.has_rtcp_mux);
        tokio::spawn(async move {
            let opened = tokio::task::spawn_blocking(move || who.open()).await;
            let Ok(voice) = opened else { return };
            let clock = Clock::start();
            let now = Now::new(clock.now(), unix_ms());
            match AudioSession::unencrypted(now, settings, rng) {
                Ok(session) => {
                    let sound = Running { session, socket, remote, has_mux, clock, voice };
                    sound.run(inbox, &report).await;
                }
                Err(error) => report(SoundReport::Fault(error.to_string())),
            }
            report(SoundReport::Over);
        });
        Self { control }
    }

    /// Goes on as both sides have agreed anew.
    pub(super) fn change(&self, negotiated: &PlainNegotiated) {
        let settings = settings(negotiated, &mut Rng::new(os_seed()));
        let remote = negotiated.remote.address;
        let _ = self.control.try_send(Control::Change { remote, settings });
    }

    /// Keeps our voice back, or lets it through again.
    pub(super) fn hold(&self, is_on_hold: bool) {
        let _ = self.control.try_send(Control::Hold(is_on_hold));
    }

    /// Cuts the microphone off, or lets it in again.
    pub(super) fn mute(&self, is_muted: bool) {
        let _ = self.control.try_send(Control::Mute(is_muted));
    }

    /// Records both sides, or no more. The other side hears a tone: its phone says nothing of it.
    pub(super) fn record(&self, recorder: Option<CallRecorder>) {
        let _ = self.control.try_send(Control::Record(recorder));
    }

    /// Connects this call with another one: each is heard in the other.
    pub(super) fn join(&self, other: ConferencePort) {
        let _ = self.control.try_send(Control::Join(other));
    }

    /// Connects this call with no other one any more.
    pub(super) fn part(&self) {
        let _ = self.control.try_send(Control::Part);
    }

    /// Lets somebody else talk on this side.
    pub(super) fn hand_over(&self, who: Who) {
        let _ = self.control.try_send(Control::HandOver(who));
    }

    /// Presses a key of the telephone.
    pub(super) fn press(&self, digit: Digit) {
        let _ = self.control.try_send(Control::Press(digit));
    }
}

/// Sound in both directions.
struct Running {
    session: AudioSession,
    socket: UdpSocket,
    remote: SocketAddr,
    /// Whether reports go to the port of sound. The other side's own port for them is not used.
    has_mux: bool,
    clock: Clock,
    voice: Voice,
}

impl Running {
    async fn run(
        mut self,
        mut control: mpsc::Receiver<Control>,
        report: &(impl Fn(SoundReport) + Send + Sync),
    ) {
        let mut turns = Turns::start();
        let mut frames = 0_u32;
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            let deadline = self.session.deadline();
            tokio::select! {
                turn = turns.next() => match turn {
                    Turn::Hear => turns.hear_after(Instant::now(), self.hear()),
                    Turn::Say if !turns.can_say(self.voice.readiness()) => {}
                    Turn::Say => {
                        self.say(report);
                        frames = frames.wrapping_add(1);
                        if frames.is_multiple_of(FRAMES_PER_REPORT) {
                            report(self.statistics());
                        }
                    }
                },
                read = self.socket.recv_from(&mut buffer) => {
                    // Whoever sends from elsewhere is not who we talk to.
                    if let Ok((length, from)) = read && from.ip() == self.remote.ip() {
                        if DatagramKind::of(&buffer[..length]) == DatagramKind::Rtp {
                            // A router may have given it another port (RFC 4961 §4).
                            self.remote.set_port(from.port());
                        }
                        self.session.receive(self.clock.now(), &buffer[..length]);
                        while let Some(digit) = self.session.take_digit() {
                            report(SoundReport::Digit(digit));
                        }
                    }
                }
                () = self.clock.sleep_until(deadline) => {
                    self.session.handle_timeout(self.clock.now());
                }
                change = control.recv() => match change {
                    Some(control) => self.obey(control, report),
                    None => break,
                },
            }
            self.flush();
        }
        self.session.end(self.clock.now());
        self.flush();
        report(self.statistics());
    }

    fn obey(&mut self, control: Control, report: &(impl Fn(SoundReport) + Send + Sync)) {
        match control {
            Control::Change { remote, settings } => {
                self.remote = remote;
                if let Err(error) = self.session.change(settings) {
                    report(SoundReport::Fault(error.to_string()));
                }
            }
            Control::Hold(is_on_hold) => self.voice.hold(is_on_hold),
            Control::Mute(is_muted) => self.voice.mute(is_muted),
            Control::Record(recorder) => self.voice.record(recorder, false),
            Control::Join(other) => self.voice.join(other),
            Control::Part => self.voice.part(),
            Control::HandOver(who) => self.voice.hand_over(who),
            Control::Press(digit) => {
                let _ = self.session.send_digit(digit, KEY);
            }
        }
    }

    /// Plays the next frame; how long after it the next one is best.
    fn hear(&mut self) -> Duration {
        let heard = self.session.playout(self.clock.now());
        self.voice.hear(&heard);
        self.session.playout_interval()
    }

    fn say(&mut self, report: &(impl Fn(SoundReport) + Send + Sync)) {
        let said = self.voice.say();
        self.session.capture(self.clock.now(), &said);
        if self.voice.is_over() {
            report(SoundReport::MessageTaken);
        }
        if let Some(sentence) = self.voice.take_fault() {
            report(SoundReport::Fault(sentence));
        }
    }

    fn flush(&mut self) {
        while let Some(packet) = self.session.poll() {
            if self.has_mux || DatagramKind::of(&packet) == DatagramKind::Rtp {
                // A full queue is loss like any other.
                let _ = self.socket.try_send_to(&packet, self.remote);
            }
        }
    }

    fn statistics(&self) -> SoundReport {
        SoundReport::Statistics(Box::new(self.session.statistics()))
    }
}

/// What both sides have agreed on, for the sound of it.
fn settings(negotiated: &PlainNegotiated, rng: &mut Rng) -> SessionSettings {
    SessionSettings {
        send: negotiated.send,
        receive: negotiated.receive.clone(),
        in_band_fec: negotiated.wish.in_band_fec,
        copies: None,
        dtx: negotiated.wish.dtx,
        bitrate_max: negotiated.wish.bitrate_max,
        digits: negotiated.digits,
        direction: negotiated.direction,
        cname: rng.ice_string(16),
    }
}

/// How long a key is pressed.
const KEY: Duration = Duration::from_millis(100);
/// Figures go out ten times a second.
const FRAMES_PER_REPORT: u32 = 5;
/// Changes and keys on their way.
const CHANGES_MAX: usize = 32;
/// The longest datagram: nothing longer crosses an ordinary network in one piece.
const DATAGRAM_MAX: usize = 1500;
