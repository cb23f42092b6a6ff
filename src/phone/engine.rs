//! The phone's one task: commands, the overlay, SIP and sound come in; snapshots and events go out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::account::{AccountId, AccountReport, Accounts};
use super::api::{CallId, Command, Device, Event, Settings, Snapshot};
use super::calls::{CallReports, Calls};
use super::certify::Certifying;
use super::contacts::WARM_EVERY;
use super::data::{Data, OverlayUser};
use super::dial::Target;
use super::flows::Flows;
use super::handle::{Backend, Handle, Reply, channel};
use super::hosting::{HostReport, Hosting};
use super::machine::Playback;
use super::messages::{MessageJob, Outbox, OutboxReport};
use super::names::forwarding;
use super::protection::StoreKey;
use super::ring::Ring;
use super::search::{SearchReport, Searches};
use super::sip_account::SipNews;
use super::sound_test::TestTask;
use super::state::{StateError, StateFolder};
use super::telephone::Telephones;
use super::unproved::Unproved;
use super::voice::Who;
use super::whereabouts::{Lookouts, Whereabouts};
use crate::base::{Now, Rng};
use crate::link::{AppFlow, Clock, Pcap, os_seed, unix_ms};
use crate::media::{Recording, Ringing, SinkChoice, SourceChoice, device};
use crate::sip;

/// What a phone is started with.
#[derive(Debug)]
pub struct PhoneOptions {
    /// The user's folder.
    pub state: StateFolder,
    /// Where our bootstrap port listens; `None` for the usual port, or any if that is in use.
    pub listen: Option<std::net::SocketAddr>,
    /// Answer every call at once.
    pub auto_answer: bool,
    /// A recording in the place of the microphone.
    pub play: Option<Recording>,
    /// A file in the place of the speaker.
    pub record: Option<PathBuf>,
    /// Where messages are written for Wireshark.
    pub pcap: Option<Pcap>,
    /// Whether somebody sits in front: sound devices are listed for a choice, and calls ring.
    pub is_attended: bool,
}

/// Starts a phone on the current tokio runtime. It ends, leaving all overlays, when the last
/// handle is dropped.
pub fn start(options: PhoneOptions) -> Result<Handle, StateError> {
    let (settings, settings_notice) = options.state.settings();
    let (data, data_notice) = options.state.data(unix_ms())?;
    let snapshot = Snapshot {
        history: data.calls().unwrap_or_default(),
        contacts: Arc::new(data.contacts().unwrap_or_default()),
        conversations: Arc::new(data.conversations().unwrap_or_default()),
        last: data.last().ok().flatten(),
        founded: data.founded().unwrap_or_default(),
        protection: options.state.protection(),
        backup: options.state.backup_state(&data),
        sip_accounts: options.state.sip_account_facts(),
        key_alarms: data.key_alarms().unwrap_or_default(),
        damage: settings_notice.into_iter().chain(data_notice).collect(),
        settings: settings.clone(),
        ..Snapshot::default()
    };
    let (handle, backend) = channel(snapshot.clone());
    let engine = Engine::new(options, settings, data, snapshot, backend);
    tokio::spawn(engine.run());
    Ok(handle)
}

/// What reaches the engine from tasks that it has started.
pub(super) enum Report {
    /// From a call.
    Call(CallId, CallReports),
    /// A connection to somebody who is called often.
    Warm(Target, Box<AppFlow>),
    /// From an attempt, of this number, to deliver what was written to this name.
    Outbox(String, u64, OutboxReport),
    /// Whether somebody of this name is there, or nobody says.
    Whereabouts(String, Option<Whereabouts>),
    /// A SIP message on a flow, or its end.
    Sip(sip::FlowId, Option<bytes::Bytes>),
    /// From an overlay.
    Account(AccountId, AccountReport),
    /// From a search for an overlay of this name.
    Search(String, u64, SearchReport),
    /// From the host of an overlay of this name.
    Host(String, HostReport),
    /// From the phone of an ordinary account; its end without news.
    Telephone(AccountId, Option<SipNews>),
    /// Overlays with peers on this network.
    Nearby(Vec<String>),
    /// Devices were listed.
    Devices(Vec<Device>, Vec<Device>),
    /// A message was played, or could not be.
    Played(String, Option<String>),
    /// How loud it is where sound is tried; and the end of that.
    SoundTest(f32),
    SoundTested(Option<String>),
    /// The platform's key store has answered, or can't be used.
    KeyStore(Result<StoreKey, String>),
}

/// Sends reports to the engine; what comes when it is far behind is lost like a datagram.
pub(super) type Reports = mpsc::Sender<Report>;

pub(super) struct Engine {
    pub(super) options: PhoneOptions,
    pub(super) settings: Settings,
    pub(super) data: Data,
    pub(super) snapshot: Snapshot,
    pub(super) accounts: Accounts,
    pub(super) searches: Searches,
    pub(super) unproved: Unproved,
    pub(super) calls: Calls,
    pub(super) flows: Flows,
    /// Whether we have been in an overlay before, whose port may still be closing.
    pub(super) has_left: bool,
    /// The call that the notice is about, if it is about one's sound.
    pub(super) sound_notice: Option<CallId>,
    pub(super) certifying: Certifying,
    pub(super) hosting: Hosting,
    pub(super) telephones: Telephones,
    pub(super) outbox: Outbox,
    pub(super) lookouts: Lookouts,
    /// Names whose other devices the user says are theirs.
    pub(super) ours_too: BTreeSet<OverlayUser>,
    /// Commands that wait for private keys.
    pub(super) waiting: Vec<Command>,
    /// What came of commands, to be told once the snapshot shows it.
    answers: Vec<(Reply, Result<(), String>)>,
    ring: Option<Ring>,
    pub(super) playback: Option<Playback>,
    pub(super) sound_test: Option<TestTask>,
    /// When the connections that stay open are looked after.
    pub(super) warm_at: tokio::time::Instant,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) reports: Reports,
    inbox: mpsc::Receiver<Report>,
    backend: Backend,
    /// Whether no face is left: we go once all overlays are left.
    is_ending: bool,
}

impl Engine {
    fn new(
        options: PhoneOptions,
        settings: Settings,
        data: Data,
        snapshot: Snapshot,
        backend: Backend,
    ) -> Self {
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        Self {
            options,
            settings,
            data,
            snapshot,
            accounts: Accounts::default(),
            searches: Searches::default(),
            unproved: Unproved::default(),
            calls: Calls::default(),
            flows: Flows::default(),
            has_left: false,
            sound_notice: None,
            certifying: Certifying::default(),
            hosting: Hosting::default(),
            telephones: Telephones::default(),
            outbox: Outbox::default(),
            lookouts: Lookouts::default(),
            ours_too: BTreeSet::new(),
            waiting: Vec::new(),
            answers: Vec::new(),
            ring: None,
            playback: None,
            sound_test: None,
            warm_at: tokio::time::Instant::now() + WARM_EVERY,
            clock: Clock::start(),
            rng: Rng::new(os_seed()),
            reports,
            inbox,
            backend,
            is_ending: false,
        }
    }

    async fn run(mut self) {
        self.list_devices();
        self.list_voice_messages();
        self.ask_key_store();
        self.watch_lan();
        self.resume_hosts();
        self.tend_telephones();
        self.show_knocking();
        self.publish();
        loop {
            self.step().await;
            self.flush_sip();
            self.use_renewed();
            let remain = self.go_on_leaving().await;
            if self.hosting.is_ending && !remain {
                self.stop_hosts();
            }
            self.ring();
            self.publish();
            for (reply, result) in self.answers.drain(..) {
                // Whoever has asked may not wait any more.
                let _ = reply.send(result);
            }
            let is_done = self.hosting.is_empty() && self.telephones.is_empty();
            if self.is_ending && !remain && is_done {
                return;
            }
        }
    }

    /// Waits for one thing to happen and handles it.
    async fn step(&mut self) {
        let busy = self.calls.is_any_talking() || self.flows.is_any_temporary();
        tokio::select! {
            command = self.backend.commands.recv(), if !self.is_ending => match command {
                Some(command) => drop(self.command(command)),
                None => {
                    self.is_ending = true;
                    self.leave_all();
                }
            },
            Some((command, reply)) = self.backend.asks.recv(), if !self.is_ending => {
                let result = self.command(command);
                self.answers.push((reply, result));
            }
            report = self.inbox.recv() => {
                if let Some(report) = report {
                    self.report(report).await;
                }
            }
            () = self.clock.sleep_until(self.accounts.sip_deadline()) => self.sip_timeout(),
            () = self.accounts.leaving_overdue() => {}
            () = until(self.outbox.due()) => self.deliver_due(),
            () = tokio::time::sleep_until(self.warm_at) => self.keep_warm(),
            () = tokio::time::sleep(DURATION_STEP), if busy => {}
        }
    }

    /// Carries out a command; that it could not be is a notice, too.
    pub(super) fn command(&mut self, command: Command) -> Result<(), String> {
        if self.waits_for_keys(&command) {
            return Ok(());
        }
        // Every command takes the notice away but those which may come by themselves.
        if !matches!(
            command,
            Command::Count
                | Command::Inspect
                | Command::LookFor(_)
                | Command::Messages(MessageJob::Read(_))
        ) {
            self.snapshot.notice = None;
            self.sound_notice = None;
        }
        let result = self.carry_out(command);
        if let Err(sentence) = &result {
            self.notice(sentence.clone());
        }
        result
    }

    fn carry_out(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::StartOverlay { name, user, listen, kind } => {
                self.start_overlay(&name, &user, listen, kind)
            }
            Command::RunOverlay { overlay, is_wanted } => self.run_overlay(&overlay, is_wanted),
            Command::Accounts { overlay, job } => self.account_job(&overlay, job),
            Command::Found { document, user } => self.found(document.as_deref(), &user),
            Command::Join { entrance, user, bootstrap } => {
                self.join_by(&entrance, &user, &bootstrap)
            }
            Command::AnswerUnproved { overlay, is_wanted } => {
                self.answer_unproved(&overlay, is_wanted)
            }
            Command::Rejoin => self.rejoin(),
            Command::Leave(overlay) => self.leave_one_or_all(overlay.as_deref()),
            Command::SaveDocument { overlay, path } => self.save_document(&overlay, &path),
            Command::Dial(name) => self.dial(&name),
            Command::Answer(call) => self.answer(call),
            Command::Decline(call) => self.decline(call),
            Command::HangUp(call) => self.hang_up(call),
            Command::Mute(call, muted) => self.mute(call, muted),
            Command::Hold(call, is_held) => self.hold(call, is_held),
            Command::VoiceMessage(job) => self.voice_message_job(job),
            Command::TestSound(test) => self.try_sound(test),
            Command::Record(call, is_wanted) => self.record(call, is_wanted),
            Command::Digit(call, label) => self.press(call, label),
            Command::Transfer { call, to } => self.transfer(call, &to),
            Command::Merge { call, other } => self.merge(call, other),
            Command::Split(call) => self.split(call),
            Command::TransferTo { call, other } => self.transfer_to(call, other),
            Command::Dismiss(_) | Command::DismissNotice | Command::DismissDamage => {
                self.dismiss(&command);
                Ok(())
            }
            Command::ClearHistory => self.clear_history(),
            Command::Contacts(job) => self.contact_job(job),
            Command::Messages(job) => self.message_job(job),
            Command::SipAccount(job) => self.sip_account_job(job),
            Command::LookFor(names) => self.look_for(names),
            Command::Configure(settings) => self.configure(*settings),
            Command::Forward(to) => self.forward(to.as_deref()),
            Command::Protect(password) => self.protect(&password),
            Command::Unlock(password) => self.unlock(password.as_ref()),
            Command::BackUp { path, password } => self.back_up(&path, &password),
            Command::Restore { path, password } => self.restore(&path, &password),
            Command::AnswerAlarm { overlay, aor, node_id, answer } => {
                self.answer_alarm(&overlay, &aor, &node_id, answer)
            }
            Command::GiveCredentials { overlay, user, credentials } => {
                self.give_credentials(&overlay, &user, credentials)
            }
            Command::EnterBeside { overlay, user } => self.enter_beside(overlay, user),
            Command::RemoveDevice { overlay, node_id } => self.remove_device(&overlay, &node_id),
            Command::ForgetKeys { overlay, aor } => self.forget_keys(&overlay, &aor),
            Command::Count => {
                self.tell_counters();
                Ok(())
            }
            Command::Inspect => {
                self.look_at_networks();
                self.show_sip_accounts();
                Ok(())
            }
        }
    }

    async fn report(&mut self, report: Report) {
        match report {
            Report::Call(call, report) => self.call_report(call, report),
            Report::Warm(target, flow) => self.warm_flow_up(&target, *flow),
            Report::Outbox(peer, number, report) => self.outbox_report(&peer, number, report),
            Report::Whereabouts(name, found) => self.found_somebody(name, found),
            Report::Sip(flow, Some(bytes)) => self.sip_datagram(flow, &bytes),
            Report::Sip(flow, None) => self.sip_flow_down(flow),
            Report::Account(id, report) => self.account_report(id, report).await,
            Report::Search(overlay, id, report) => self.search_report(&overlay, id, report),
            Report::Host(overlay, report) => self.host_report(&overlay, report),
            Report::Telephone(id, news) => self.telephone_report(id, news),
            // The last word of a watch that has been stopped may come late.
            Report::Nearby(overlays) if !self.settings.hidden_on_lan => {
                self.snapshot.nearby = overlays;
            }
            Report::Nearby(_) => {}
            Report::Played(name, fault) => self.played(&name, fault),
            Report::SoundTest(level) => self.sound_test_level(level),
            Report::SoundTested(fault) => self.sound_tested(fault),
            Report::KeyStore(answer) => self.key_store_answered(answer),
            Report::Devices(microphones, speakers) => {
                self.snapshot.microphones = microphones;
                self.snapshot.speakers = speakers;
            }
        }
    }

    fn clear_history(&mut self) -> Result<(), String> {
        self.data.clear_calls().map_err(|e| format!("The list of calls was not cleared: {e}."))?;
        self.snapshot.history.clear();
        Ok(())
    }

    fn configure(&mut self, settings: Settings) -> Result<(), String> {
        self.options.state.save_settings(&settings).map_err(|e| e.to_string())?;
        let before = std::mem::replace(&mut self.settings, settings.clone());
        let published = |settings: &Settings| {
            (settings.forward_to.clone(), settings.sips_only, settings.is_unlisted)
        };
        if published(&before) != published(&settings) {
            self.register_again();
        }
        if before.hidden_on_lan != settings.hidden_on_lan {
            self.show_or_hide();
        }
        if before.router_left_alone != settings.router_left_alone {
            self.open_ports_anew();
        }
        if before.relay != settings.relay {
            self.lend_anew();
        }
        self.snapshot.settings = settings;
        self.show_knocking();
        self.list_devices();
        Ok(())
    }

    /// Forwards calls to us, which is a setting.
    fn forward(&mut self, to: Option<&str>) -> Result<(), String> {
        let default = self.snapshot.me().map_or("", |me| me.overlay.as_str());
        let forward_to = to.map(|to| forwarding(to, default)).transpose()?;
        if let Some(to) = &forward_to
            && self.snapshot.memberships.iter().all(|m| m.me.aor() == *to)
            && !self.snapshot.memberships.is_empty()
        {
            return Err(format!("{to} is your own name."));
        }
        self.configure(Settings { forward_to, ..self.settings.clone() })
    }

    /// Asks the system which devices there are; that may take a moment.
    fn list_devices(&self) {
        if !self.options.is_attended {
            return;
        }
        let reports = self.reports.clone();
        tokio::task::spawn_blocking(move || {
            let named = |devices: Vec<crate::media::SoundDevice>| {
                devices.into_iter().map(|d| Device { id: d.id, name: d.name }).collect()
            };
            // Without a sound system there is nothing to choose from; a call says why.
            let microphones = named(device::microphones().unwrap_or_default());
            let speakers = named(device::speakers().unwrap_or_default());
            let _ = reports.blocking_send(Report::Devices(microphones, speakers));
        });
    }

    /// The user, with what they have chosen to hear and be heard with.
    pub(super) fn user(&self) -> Who {
        let source = match &self.options.play {
            Some(recording) => SourceChoice::Recording(recording.clone()),
            None => self.settings.microphones(),
        };
        let sink = match &self.options.record {
            Some(path) => SinkChoice::File(path.clone()),
            None => self.settings.speakers(),
        };
        let sound = &self.settings.sound;
        let (voice_processing, hold_music) = (sound.voice_processing, sound.hold_music.clone());
        Who::User { source, sink, voice_processing, hold_music }
    }

    pub(super) fn now(&self) -> Now {
        Now::new(self.clock.now(), unix_ms())
    }

    /// Takes away what the user has read.
    fn dismiss(&mut self, command: &Command) {
        match command {
            Command::Dismiss(call) => self.calls.dismiss(*call),
            Command::DismissDamage => self.snapshot.damage.clear(),
            _ => self.snapshot.restored.clear(),
        }
    }

    /// Something failed that the user should know: one sentence.
    pub(super) fn notice(&mut self, sentence: String) {
        self.event(Event::Error { message: sentence.clone() });
        self.snapshot.notice = Some(sentence);
    }

    pub(super) fn event(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.backend.events.send(event);
    }

    /// Rings if a call waits to be answered, here or there.
    fn ring(&mut self) {
        let wanted = self.calls.ringing().filter(|_| self.options.is_attended);
        if self.ring.as_ref().map(|ring| ring.ringing) != wanted {
            let speakers = match wanted {
                Some(Ringing::Here) => self.settings.ringers(),
                _ => self.settings.speakers(),
            };
            self.ring = wanted.map(|ringing| Ring::start(ringing, speakers));
        }
    }

    /// Shows the faces what has changed, if anything has.
    fn publish(&mut self) {
        self.snapshot.calls = self.calls.views(self.clock.now());
        let changed = *self.backend.snapshot.borrow().as_ref() != self.snapshot;
        if changed {
            self.backend.snapshot.send_replace(Arc::new(self.snapshot.clone()));
        }
    }
}

/// Waits for a moment; for ever without one.
async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

// limits

/// Reports waiting for the engine: a second of figures and messages of several calls.
const REPORTS_MAX: usize = 256;
/// How often the duration of a call is looked at.
const DURATION_STEP: Duration = Duration::from_millis(250);
