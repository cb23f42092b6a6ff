//! A phone without a window.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use super::arguments::PhoneArguments;
use super::entrance::entrance;
use super::events::Printer;
use super::keeping::{open_keys, password_in};
use super::{DONE, FAILED, bad_input};
use crate::link::Pcap;
use crate::media::{Recording, SinkChoice};
use crate::phone::{
    CallId, CallReport, Command, Control, Credentials, Delivery, Direction, Entrance, Event,
    Handle, HostState, HostedOverlay, LentRelay, Membership, MessageId, MessageJob, OverlayState,
    PhoneOptions, Settings, SipAccountFacts, SipReach, callee, forwarding, own_name, start,
};

/// Is a peer until interrupted.
pub(super) async fn peer(arguments: PhoneArguments) -> u8 {
    let printer = Printer::new(arguments.json);
    let (phone, mut events) = match open(&arguments, printer, None) {
        Ok(opened) => opened,
        Err(sentence) => return bad_input(&sentence),
    };
    let _control = match Control::serve(phone.clone(), &arguments.keys.state, None) {
        Ok(control) => Some(control),
        Err(error) => {
            printer
                .say(json!({ "event": "error", "message": error.to_string() }), &error.to_string());
            None
        }
    };
    let code = tokio::select! {
        code = print_events(&phone, &mut events, printer) => code,
        () = count(&phone, arguments.counters) => DONE,
        () = interrupted() => DONE,
    };
    leave(&phone, &mut events, |event| printer.event(event)).await;
    code
}

/// Joins, calls, talks, hangs up.
pub(super) async fn call(arguments: PhoneArguments, name: String, seconds: u64) -> u8 {
    let printer = Printer::new(arguments.json);
    let (phone, mut events) = match open(&arguments, printer, Some(&name)) {
        Ok(opened) => opened,
        Err(sentence) => return bad_input(&sentence),
    };
    let result = tokio::select! {
        result = dial(&phone, &mut events, printer, &name, seconds) => result,
        () = count(&phone, arguments.counters) => Err(FAILED),
        () = interrupted() => Err(FAILED),
    };
    leave(&phone, &mut events, |event| printer.event(event)).await;
    match result {
        Ok(report) => {
            printer.report(&report);
            let heard = report.answered && report.sound_sent && report.sound_received;
            if heard { DONE } else { FAILED }
        }
        Err(code) => code,
    }
}

/// Joins and writes; whether it has arrived in time.
pub(super) async fn message(
    arguments: PhoneArguments,
    name: String,
    text: String,
    wait: u64,
) -> u8 {
    let printer = Printer::new(arguments.json);
    let (phone, mut events) = match open(&arguments, printer, Some(&name)) {
        Ok(opened) => opened,
        Err(sentence) => return bad_input(&sentence),
    };
    let job = MessageJob::Write { to: name, text };
    let code = tokio::select! {
        code = deliver(&phone, &mut events, printer, job) => code,
        () = sleep(Duration::from_secs(wait)) => FAILED,
        () = count(&phone, arguments.counters) => FAILED,
        () = interrupted() => FAILED,
    };
    leave(&phone, &mut events, |event| printer.event(event)).await;
    code
}

/// Writes once we have joined, and waits until all of it is delivered or refused.
async fn deliver(
    phone: &Handle,
    events: &mut Receiver<Event>,
    printer: Printer,
    job: MessageJob,
) -> u8 {
    let mut job = Some(job);
    let mut waiting: BTreeSet<MessageId> = BTreeSet::new();
    let (mut is_out, mut code) = (false, DONE);
    loop {
        let Some(event) = next(events).await else { return FAILED };
        if cannot_start(phone, &event, is_out).await {
            return refused(&event);
        }
        is_out = is_out_after(&event, is_out);
        printer.event(&event);
        match event {
            Event::Joined { .. } => {
                if let Some(job) = job.take() {
                    phone.send(Command::Messages(job));
                }
            }
            Event::Error { .. } if job.is_none() && waiting.is_empty() => return refused(&event),
            Event::Delivery { id, delivery: Delivery::Waiting, .. } => {
                waiting.insert(id);
            }
            Event::Delivery { id, delivery, .. } if waiting.remove(&id) => {
                if !matches!(delivery, Delivery::Delivered | Delivery::Sent) {
                    code = FAILED;
                }
                if waiting.is_empty() {
                    return code;
                }
            }
            _ => {}
        }
    }
}

/// Starts a phone that joins and may call `name`.
fn open(
    arguments: &PhoneArguments,
    printer: Printer,
    name: Option<&str>,
) -> Result<(Handle, Receiver<Event>), String> {
    let state = open_keys(&arguments.keys)?;
    let protection = state.protection();
    // A document that cannot be read, a name that is none, or a file that cannot be played, shows
    // before anything is started.
    let (entrance, known) = entrance(&arguments.overlay, &state)?;
    let own = own_name(&known.config, &arguments.user)?;
    if let Some(name) = name {
        callee(&known, &own, name)?;
    }
    let overlay = known.config.instance_name.as_str();
    let forward_to = arguments.forward_to.as_deref();
    let forward_to = forward_to.map(|to| forwarding(to, overlay)).transpose()?;
    if forward_to.as_ref().is_some_and(|to| *to == own.to_string()) {
        return Err(format!("{own} is your own name."));
    }
    let play = arguments.play.as_deref().map(Recording::read).transpose();
    if let Some(record) = &arguments.record {
        SinkChoice::File(record.clone()).check().map_err(|e| e.to_string())?;
    }
    let pcap = arguments.pcap.as_deref().map(Pcap::create).transpose();
    let options = PhoneOptions {
        state,
        listen: arguments.listen,
        auto_answer: arguments.answer,
        play: play.map_err(|e| e.to_string())?,
        record: arguments.record.clone(),
        pcap: pcap.map_err(|e| format!("{e}."))?,
        is_attended: false,
    };
    let phone = start(options).map_err(|e| e.to_string())?;
    printer.keys(&protection);
    for message in phone.snapshot().damage.clone() {
        printer.event(&Event::Damaged { message });
    }
    let events = phone.events();
    tokio::spawn(answer_unproved(phone.clone(), phone.events(), arguments.accept_unproved));
    let before = phone.snapshot().settings.clone();
    let relay = LentRelay { kbit_per_s: arguments.lend, sessions: arguments.lend_sessions };
    let settings = Settings { forward_to, sips_only: arguments.sips_only, relay, ..before.clone() };
    if settings != before {
        phone.send(Command::Configure(Box::new(settings)));
    }
    give_credentials(&phone, arguments, overlay, &own.user)?;
    let user = arguments.user.clone();
    let command = match (arguments.first, entrance) {
        (true, Entrance::Document(document)) => Command::Found { document: Some(document), user },
        (true, _) => return Err("Who founds an overlay has its document: give its file.".into()),
        (false, entrance) => {
            let bootstrap = arguments.bootstrap.clone();
            Command::Join { entrance, user, bootstrap }
        }
    };
    phone.send(command);
    Ok((phone, events))
}

/// Tells the phone who we are in the overlay, beyond our name.
fn give_credentials(
    phone: &Handle,
    arguments: &PhoneArguments,
    overlay: &str,
    user: &str,
) -> Result<(), String> {
    let (overlay, user) = (overlay.to_owned(), user.to_owned());
    if let Some(path) = &arguments.account_password_file {
        let account = arguments.account.clone().unwrap_or_else(|| user.clone());
        let credentials = Credentials { account, password: password_in(path)? };
        let (overlay, user) = (overlay.clone(), user.clone());
        phone.send(Command::GiveCredentials { overlay, user, credentials });
    }
    if arguments.another_device {
        phone.send(Command::EnterBeside { overlay, user });
    }
    Ok(())
}

/// Answers for the user, or asks who is at the terminal, whether to join what nothing proves.
async fn answer_unproved(phone: Handle, mut events: Receiver<Event>, is_accepted: bool) {
    while let Some(event) = next(&mut events).await {
        let Event::Unproved(question) = event else { continue };
        let is_wanted = is_accepted || asked().await;
        phone.send(Command::AnswerUnproved { overlay: question.overlay, is_wanted });
    }
}

/// Whether somebody is at the terminal and says yes.
async fn asked() -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    eprint!("Join all the same? [y/N] ");
    let answered = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let _ = stdin.read_line(&mut line);
        line
    });
    let answer = answered.await.unwrap_or_default();
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

/// Asks for the counters again and again, if they are wanted.
async fn count(phone: &Handle, seconds: Option<u64>) {
    let Some(seconds) = seconds else { return std::future::pending().await };
    loop {
        sleep(Duration::from_secs(seconds)).await;
        phone.send(Command::Count);
    }
}

/// Prints events for ever, or until it shows that we can never join.
async fn print_events(phone: &Handle, events: &mut Receiver<Event>, printer: Printer) -> u8 {
    let mut is_out = false;
    loop {
        match next(events).await {
            Some(event) if cannot_start(phone, &event, is_out).await => return refused(&event),
            Some(event) => {
                is_out = is_out_after(&event, is_out);
                printer.event(&event);
            }
            None => return FAILED,
        }
    }
}

/// Waits until we are registered, then makes the call.
async fn dial(
    phone: &Handle,
    events: &mut Receiver<Event>,
    printer: Printer,
    name: &str,
    seconds: u64,
) -> Result<CallReport, u8> {
    let mut ours: Option<CallId> = None;
    let mut hang_up_at = None;
    let mut is_out = false;
    loop {
        let event = tokio::select! {
            event = next(events) => event.ok_or(FAILED)?,
            () = until(hang_up_at) => {
                hang_up_at = None;
                if let Some(call) = ours {
                    phone.send(Command::HangUp(call));
                }
                continue;
            }
        };
        if cannot_start(phone, &event, is_out).await {
            return Err(refused(&event));
        }
        is_out = is_out_after(&event, is_out);
        printer.event(&event);
        match event {
            Event::Registered { .. } if ours.is_none() => {
                ours = Some(begin(phone, name).await.ok_or(FAILED)?);
            }
            Event::Answered { call, .. } if ours == Some(call) => {
                hang_up_at = Some(tokio::time::Instant::now() + Duration::from_secs(seconds));
            }
            Event::Ended { call, report, .. } if ours == Some(call) => return Ok(*report),
            // Others may call us meanwhile.
            _ => {}
        }
    }
}

/// Dials; `None`, with a line on stderr, if the phone refuses.
async fn begin(phone: &Handle, name: &str) -> Option<CallId> {
    phone.send(Command::Dial(name.to_owned()));
    let mut phone = phone.clone();
    let begun = async {
        loop {
            let snapshot = phone.snapshot();
            let ours = snapshot.calls.iter().find(|c| c.direction == Direction::Outgoing);
            if ours.is_some() || !phone.changed().await {
                return ours.map(|call| call.id);
            }
        }
    };
    let call = timeout(BEGIN_MAX, begun).await.ok().flatten();
    if call.is_none() {
        let notice = phone.snapshot().notice.clone();
        bad_input(&notice.unwrap_or_else(|| "The call could not be begun.".to_owned()));
    }
    call
}

/// Whether we have left, for good or to come back.
fn is_out_after(event: &Event, was_out: bool) -> bool {
    match event {
        Event::Left { .. } => true,
        Event::Joined { .. } => false,
        _ => was_out,
    }
}

/// Whether the event says that what was typed can't be used, or not any more: we are not even
/// trying to join.
async fn cannot_start(phone: &Handle, event: &Event, is_out: bool) -> bool {
    if !matches!(event, Event::Error { .. }) {
        return false;
    }
    // The snapshot follows the event in the same turn of the engine.
    let mut phone = phone.clone();
    let settled = async {
        loop {
            if let Some(Membership { me, state, .. }) = phone.snapshot().default_membership() {
                // What is known of a node that has left may be of before.
                let has_node = !me.node_id.is_empty() && !is_out;
                let failed = matches!(state, OverlayState::Failed { .. });
                if has_node || failed {
                    return !has_node;
                }
            }
            if !phone.changed().await {
                return false;
            }
        }
    };
    timeout(SETTLE_MAX, settled).await.unwrap_or(false)
}

fn refused(event: &Event) -> u8 {
    match event {
        Event::Error { message } => bad_input(message),
        _ => FAILED,
    }
}

/// Leaves all overlays in order, if the phone is in any; takes a few seconds at most.
pub async fn farewell(phone: Handle) {
    let mut events = phone.events();
    leave(&phone, &mut events, |_| ()).await;
}

async fn leave(phone: &Handle, events: &mut Receiver<Event>, show: impl Fn(&Event)) {
    let snapshot = phone.snapshot();
    let nodes = snapshot.memberships.iter().filter(|m| !m.me.node_id.is_empty());
    let mut overlays: BTreeSet<_> = nodes.map(|m| m.me.overlay.clone()).collect();
    phone.send(Command::Leave(None));
    let left = async {
        while !overlays.is_empty() {
            let Some(event) = next(events).await else { return };
            show(&event);
            if let Event::Left { overlay } = event {
                overlays.remove(&overlay);
            }
        }
    };
    // A farewell that fails is noticed by our neighbours, and nobody waits for it here.
    let _ = timeout(LEAVE_MAX, left).await;
    let mut phone = phone.clone();
    let ended = async {
        let runs = |h: &HostedOverlay| matches!(h.state, HostState::Running | HostState::Ending);
        while phone.snapshot().hosted.iter().any(runs) && phone.changed().await {}
    };
    let _ = timeout(LEAVE_MAX, ended).await;
    let signed_off = async {
        let is_reached = |facts: &SipAccountFacts| {
            matches!(facts, SipAccountFacts::Account { reach: SipReach::Registered, .. })
        };
        while phone.snapshot().sip_accounts.iter().any(is_reached) && phone.changed().await {}
    };
    let _ = timeout(LEAVE_MAX, signed_off).await;
}

async fn next(events: &mut Receiver<Event>) -> Option<Event> {
    loop {
        match events.recv().await {
            Ok(event) => return Some(event),
            // Some events were lost because stdout is slow; later ones still count.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for Ctrl-C, or the polite signal of a service manager.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals only the other side or the system ends us.
        sleep(Duration::MAX).await;
    }
}

/// How long a snapshot may lag behind its event.
const SETTLE_MAX: Duration = Duration::from_millis(500);
/// How long the phone may take to begin a call.
const BEGIN_MAX: Duration = Duration::from_secs(5);
/// How long leaving may take.
const LEAVE_MAX: Duration = Duration::from_secs(6);
