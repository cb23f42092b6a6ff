//! The sound of one call: ICE and DTLS for media, then frames every 20 ms, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::failure::SoundFailure;
use super::speech::{Speech, SpeechChange, SpeechReport};
use super::voice::Who;
use crate::base::{Now, Rng};
use crate::crypto::Certificate;
use crate::link;
use crate::link::{
    Clock, Credentials, DtlsError, DtlsRole, IceAgent, IceParameters, LinkError, LocalCertificate,
    MediaFlow, SrtpProfile, Surroundings, unix_ms,
};
use crate::media::sdp::{
    self, COPIES_PAYLOAD_TYPE, MediaDescription, Negotiated, OPUS_PAYLOAD_TYPE, Setup,
    TELEPHONE_EVENT_PAYLOAD_TYPE,
};
use crate::media::{AudioSession, Profile, SessionSettings, SrtpKeys};

/// What a call's sound needs.
pub(super) struct TalkSetup {
    /// Our candidates, as the other side has been told.
    pub agent: IceAgent,
    /// What both sides agreed on.
    pub negotiated: Negotiated,
    /// What we show in DTLS.
    pub local: LocalCertificate,
    /// Who talks.
    pub who: Who,
    /// Whether the microphone is cut off from the start.
    pub muted: bool,
    /// How long it may take until sound flows.
    pub within: Duration,
    /// Seed of all randomness.
    pub seed: [u8; 32],
}

/// What a call's sound reports.
#[derive(Debug)]
pub(super) enum TalkReport {
    /// Sound flows on this path.
    Up(String),
    /// Something was said or heard; figures come a last time at the end.
    Speech(SpeechReport),
    /// There is no way for sound, or it was lost.
    Failed(SoundFailure),
}

/// A running call's sound; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Talk {
    control: mpsc::Sender<Control>,
}

/// What the sound of a running call is told.
enum Control {
    Speech(SpeechChange),
    /// Let sound flow this way only, and whether we hold the call.
    Direct(sdp::Direction, bool),
    /// Go on by another path, between these candidates of ours and of the other side.
    Move(Box<IceAgent>, IceParameters),
}

impl Talk {
    /// Begins; `report` is called with what happens, and with `None` once all is over.
    pub(super) fn start(
        setup: TalkSetup,
        report: impl Fn(Option<TalkReport>) + Send + Sync + 'static,
    ) -> Self {
        let (control, inbox) = mpsc::channel(CONTROLS_MAX);
        tokio::spawn(async move {
            if let Err(failure) = run(setup, inbox, &report).await {
                report(Some(TalkReport::Failed(failure)));
            }
            report(None);
        });
        Self { control }
    }

    /// Changes what is said and heard.
    pub(super) fn change(&self, change: SpeechChange) {
        let _ = self.control.try_send(Control::Speech(change));
    }

    /// Lets sound flow this way only; while we hold the call, only music to the other side.
    pub(super) fn direct(&self, direction: sdp::Direction, is_held: bool) {
        let _ = self.control.try_send(Control::Direct(direction, is_held));
    }

    /// Goes on by another path as soon as it is found. Until then the present one is used.
    pub(super) fn move_to(&self, agent: IceAgent, remote: IceParameters) {
        let _ = self.control.try_send(Control::Move(Box::new(agent), remote));
    }
}

/// Our stream of a session description.
pub(super) fn description(agent: &IceAgent, certificate: &Certificate) -> MediaDescription {
    let local = agent.local();
    MediaDescription {
        ice_ufrag: local.ufrag.clone(),
        ice_pwd: local.pwd.clone(),
        candidates: local.candidates.iter().map(ToString::to_string).collect(),
        fingerprint: certificate.fingerprint,
        setup: Setup::ActPass,
        opus_payload_type: OPUS_PAYLOAD_TYPE,
        copies_payload_type: Some(COPIES_PAYLOAD_TYPE),
        telephone_event: Some(TELEPHONE_EVENT_PAYLOAD_TYPE),
        direction: sdp::Direction::SendRecv,
        recording: Some(false),
    }
}

async fn run(
    setup: TalkSetup,
    mut control: mpsc::Receiver<Control>,
    report: &(impl Fn(Option<TalkReport>) + Send + Sync),
) -> Result<(), SoundFailure> {
    let TalkSetup { agent, negotiated, local, who, muted, within, seed } = setup;
    let sound = tokio::task::spawn_blocking(move || who.open());
    // What is told before there is sound.
    let mut early = Vec::new();
    let flow = tokio::select! {
        flow = timeout(within, connect(agent, &negotiated, local)) => {
            flow.unwrap_or(Err(SoundFailure::TooSlow(within)))?
        }
        () = closed(&mut control, |told| early.push(told)) => return Ok(()),
    };
    let mut voice =
        sound.await.map_err(|_| SoundFailure::Here("The sound system failed.".to_owned()))?;
    report(Some(TalkReport::Up(flow.info().path())));
    let keys = flow.info().srtp.clone();
    let keys =
        keys.ok_or_else(|| SoundFailure::Here("No sound: no keys were agreed on.".to_owned()))?;
    let clock = Clock::start();
    let mut rng = Rng::new(seed);
    let now = Now::new(clock.now(), unix_ms());
    let settings = SessionSettings::new(&negotiated, &mut rng);
    let keying = keying(&keys);
    let profile = match keys.profile {
        SrtpProfile::Aes128CmSha1_80 => Profile::Aes128CmHmacSha1_80,
        SrtpProfile::AeadAes128Gcm => Profile::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm => Profile::AeadAes256Gcm,
    };
    let keys = SrtpKeys { profile, keying: &keying, role: media_role(flow.info().role) };
    let session = AudioSession::new(now, settings, keys, rng);
    let session = session.map_err(|error| SoundFailure::Here(error.to_string()))?;
    voice.mute(muted);
    let speech = Speech::start(session, voice, clock);
    let mut call = Sound { speech, flow, moves: JoinSet::new() };
    early.into_iter().for_each(|told| call.obey(told));
    call.run(&mut control, report).await
}

/// Sound in both directions.
struct Sound {
    speech: Speech,
    flow: MediaFlow,
    /// Other paths that are being looked for.
    moves: JoinSet<Result<String, LinkError>>,
}

impl Sound {
    async fn run(
        &mut self,
        control: &mut mpsc::Receiver<Control>,
        report: &(impl Fn(Option<TalkReport>) + Send + Sync),
    ) -> Result<(), SoundFailure> {
        let tell = |speech| report(Some(TalkReport::Speech(speech)));
        let lost = loop {
            tokio::select! {
                due = self.speech.next() => self.speech.pass(due, tell),
                packet = self.flow.recv_raw() => match packet {
                    Some(packet) => self.speech.receive(&packet, tell),
                    None => break Some(self.flow.reason()),
                },
                told = control.recv() => match told {
                    Some(told) => self.obey(told),
                    None => break None,
                },
                Some(Ok(Ok(path))) = self.moves.join_next() => report(Some(TalkReport::Up(path))),
            }
            self.flush();
        };
        self.speech.end();
        self.flush();
        tell(self.speech.statistics());
        self.flow.close();
        let Some(error) = lost else { return Ok(()) };
        let hung_up = self.speech.session.peer_said_goodbye()
            || matches!(error, LinkError::Dtls(DtlsError::Closed));
        // Who hangs up closes the sound as well, and its BYE may be behind that.
        if hung_up && timeout(BYE_MAX, closed(control, drop)).await.is_ok() {
            return Ok(());
        }
        Err(SoundFailure::Lost(error))
    }

    fn obey(&mut self, told: Control) {
        match told {
            Control::Speech(change) => self.speech.change(change),
            Control::Direct(direction, is_held) => self.direct(direction, is_held),
            Control::Move(agent, remote) => {
                let sender = self.flow.sender();
                self.moves.spawn(async move { sender.move_to(*agent, &remote).await });
            }
        }
    }

    /// While we hold the call nothing is heard, and nothing is said but music.
    fn direct(&mut self, agreed: sdp::Direction, is_held: bool) {
        self.speech.voice.hold(is_held);
        let sends = agreed.sends() && (!is_held || self.speech.voice.has_music());
        let direction = sdp::Direction::from_flows(sends, agreed.receives() && !is_held);
        self.speech.session.set_direction(direction);
    }

    fn flush(&mut self) {
        while let Some(packet) = self.speech.session.poll() {
            // A full queue is loss like any other.
            let _ = self.flow.send_raw(packet);
        }
    }
}

/// What ICE has to know of the other side.
pub(super) fn ice_parameters(remote: &MediaDescription) -> IceParameters {
    IceParameters {
        ufrag: remote.ice_ufrag.clone(),
        pwd: remote.ice_pwd.clone(),
        candidates: remote.candidates.iter().filter_map(|c| c.parse().ok()).collect(),
    }
}

/// Makes the path for media, and accepts only the certificate of the session description
/// (RFC 5763 §5).
async fn connect(
    agent: IceAgent,
    negotiated: &Negotiated,
    local: LocalCertificate,
) -> Result<MediaFlow, SoundFailure> {
    let fingerprint = negotiated.remote.fingerprint;
    let verify = move |der: &[u8]| {
        if Certificate::fingerprint_of(der) == fingerprint {
            Ok(())
        } else {
            Err("another certificate than the session description names".to_owned())
        }
    };
    let remote = ice_parameters(&negotiated.remote);
    let role = match negotiated.dtls_role {
        sdp::DtlsRole::Client => DtlsRole::Client,
        sdp::DtlsRole::Server => DtlsRole::Server,
    };
    let credentials = Credentials { local, verify: Arc::new(verify) };
    let here = Surroundings::of(&agent.local().candidates);
    let there = Surroundings::of(&remote.candidates);
    MediaFlow::over_ice(agent, &remote, role, &credentials).await.map_err(|error| match error {
        LinkError::NoPath => SoundFailure::NoPath(here, there),
        error => SoundFailure::Link(error),
    })
}

/// Waits until the call is over.
async fn closed(control: &mut mpsc::Receiver<Control>, mut hear: impl FnMut(Control)) {
    while let Some(told) = control.recv().await {
        hear(told);
    }
}

/// The keys in the order of RFC 5764 §4.2.
fn keying(keys: &link::SrtpKeys) -> Vec<u8> {
    [&keys.client.key, &keys.server.key, &keys.client.salt, &keys.server.salt]
        .into_iter()
        .flatten()
        .copied()
        .collect()
}

fn media_role(role: DtlsRole) -> sdp::DtlsRole {
    match role {
        DtlsRole::Client => sdp::DtlsRole::Client,
        DtlsRole::Server => sdp::DtlsRole::Server,
    }
}

/// How long the BYE of SIP may be behind the end of the sound: six of its transmissions
/// (RFC 3261 §17.1.2.2).
const BYE_MAX: Duration = Duration::from_secs(12);
/// Presses of the mute button on their way.
const CONTROLS_MAX: usize = 16;
