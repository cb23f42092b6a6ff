//! A call's sound on bare RTP, in a task of its own.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::base::{Now, Rng};
use crate::link::{Clock, os_seed, unix_ms};
use crate::media::sdp::PlainNegotiated;
use crate::media::{AudioSession, DatagramKind, SessionError, SessionSettings};
use crate::phone::speech::{Speech, SpeechChange, SpeechReport};
use crate::phone::voice::Who;

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
    Speech(SpeechChange),
}

/// What a call's sound reports.
#[derive(Debug)]
pub(super) enum SoundReport {
    /// Something was said or heard; figures come a last time at the end.
    Speech(SpeechReport),
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
                    let speech = Speech::start(session, voice, clock);
                    Running { speech, socket, remote, has_mux }.run(inbox, &report).await;
                }
                Err(error) => report(fault(&error)),
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

    /// Changes what is said and heard.
    pub(super) fn speak(&self, change: SpeechChange) {
        let _ = self.control.try_send(Control::Speech(change));
    }
}

/// Sound in both directions.
struct Running {
    speech: Speech,
    socket: UdpSocket,
    remote: SocketAddr,
    /// Whether reports go to the port of sound. The other side's own port for them is not used.
    has_mux: bool,
}

impl Running {
    async fn run(
        mut self,
        mut control: mpsc::Receiver<Control>,
        report: &(impl Fn(SoundReport) + Send + Sync),
    ) {
        let tell = |speech| report(SoundReport::Speech(speech));
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                due = self.speech.next() => self.speech.pass(due, tell),
                read = self.socket.recv_from(&mut buffer) => {
                    // Whoever sends from elsewhere is not who we talk to.
                    if let Ok((length, from)) = read && from.ip() == self.remote.ip() {
                        if DatagramKind::of(&buffer[..length]) == DatagramKind::Rtp {
                            // A router may have given it another port (RFC 4961 §4).
                            self.remote.set_port(from.port());
                        }
                        self.speech.receive(&buffer[..length], tell);
                    }
                }
                change = control.recv() => match change {
                    Some(control) => self.obey(control, report),
                    None => break,
                },
            }
            self.flush();
        }
        self.speech.end();
        self.flush();
        tell(self.speech.statistics());
    }

    fn obey(&mut self, control: Control, report: &(impl Fn(SoundReport) + Send + Sync)) {
        match control {
            Control::Change { remote, settings } => {
                self.remote = remote;
                if let Err(error) = self.speech.session.change(settings) {
                    report(fault(&error));
                }
            }
            Control::Hold(is_on_hold) => self.speech.voice.hold(is_on_hold),
            Control::Speech(change) => self.speech.change(change),
        }
    }

    fn flush(&mut self) {
        while let Some(packet) = self.speech.session.poll() {
            if self.has_mux || DatagramKind::of(&packet) == DatagramKind::Rtp {
                // A full queue is loss like any other.
                let _ = self.socket.try_send_to(&packet, self.remote);
            }
        }
    }
}

fn fault(error: &SessionError) -> SoundReport {
    SoundReport::Speech(SpeechReport::Fault(error.to_string()))
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

/// Changes and keys on their way.
const CHANGES_MAX: usize = 32;
/// The longest datagram: nothing longer crosses an ordinary network in one piece.
const DATAGRAM_MAX: usize = 1500;
