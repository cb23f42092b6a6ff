//! A phone at an ordinary registrar, without a window.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::events::Printer;
use super::headless::interrupted;
use super::{DONE, FAILED, bad_input};
use crate::media::{Recording, SinkChoice};
use crate::phone::{CallId, CallReport, Event, SipAccount, SipPhone, SipPhoneOptions};

/// A phone at an ordinary registrar.
#[derive(Clone, Debug, Args)]
pub struct SipArguments {
    /// Files with the accounts; the callee's domain chooses one, otherwise it is the first
    #[arg(value_name = "ACCOUNT.toml", required = true)]
    pub accounts: Vec<PathBuf>,
    /// Call this address, and hang up after a while
    #[arg(long, value_name = "ADDRESS")]
    pub call: Option<String>,
    /// How long to talk, in seconds
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Answer every call
    #[arg(long)]
    pub answer: bool,
    /// A recording in the place of the microphone
    #[arg(long, value_name = "FILE.wav")]
    pub play: Option<PathBuf>,
    /// A file in the place of the speaker
    #[arg(long, value_name = "FILE.wav")]
    pub record: Option<PathBuf>,
    /// One JSON object on a line of stdout for each event
    #[arg(long)]
    pub json: bool,
}

/// Is reachable under the account's address until interrupted, or makes one call.
pub(super) async fn run(arguments: SipArguments) -> u8 {
    let printer = Printer::new(arguments.json);
    let opened = async {
        let (options, callee) = read(&arguments)?;
        Ok::<_, String>((SipPhone::open(options).await?, callee))
    };
    let (mut phone, callee) = match opened.await {
        Ok(opened) => opened,
        Err(sentence) => return bad_input(&sentence),
    };
    let code = tokio::select! {
        code = serve(&mut phone, printer, callee, arguments.seconds) => code,
        () = interrupted() => DONE,
    };
    phone.close().await;
    code
}

/// What was typed, as a phone and whom it calls.
fn read(arguments: &SipArguments) -> Result<(SipPhoneOptions, Option<crate::sip::Aor>), String> {
    let accounts: Vec<_> =
        arguments.accounts.iter().map(|path| SipAccount::read(path)).collect::<Result<_, _>>()?;
    let first = accounts.first().ok_or("Give an account.")?;
    let callee = arguments.call.as_deref().map(|name| first.callee(name)).transpose()?;
    let chosen = callee.as_ref().and_then(|callee| SipAccount::choose(&accounts, callee));
    let play = arguments.play.as_deref().map(Recording::read).transpose();
    if let Some(record) = &arguments.record {
        SinkChoice::File(record.clone()).check().map_err(|e| e.to_string())?;
    }
    let options = SipPhoneOptions {
        account: chosen.unwrap_or(first).clone(),
        play: play.map_err(|e| e.to_string())?,
        record: arguments.record.clone(),
        auto_answer: arguments.answer,
    };
    Ok((options, callee))
}

/// Prints events; with somebody to call, until that call is over.
async fn serve(
    phone: &mut SipPhone,
    printer: Printer,
    callee: Option<crate::sip::Aor>,
    seconds: u64,
) -> u8 {
    let mut hang_up: Option<(Instant, CallId)> = None;
    let is_calling = callee.is_some();
    if let Some(callee) = callee {
        phone.dial(callee).await;
    }
    loop {
        let event = tokio::select! {
            event = phone.next() => event,
            () = until(hang_up.map(|(at, _)| at)) => {
                if let Some((_, call)) = hang_up.take() {
                    phone.hang_up(call).await;
                }
                continue;
            }
        };
        let Some(event) = event else { return FAILED };
        printer.event(&event);
        match event {
            Event::Answered { call, .. } if is_calling && hang_up.is_none() => {
                hang_up = Some((Instant::now() + Duration::from_secs(seconds), call));
            }
            Event::Ended { report, .. } if is_calling => return finish(printer, &report),
            _ => {}
        }
    }
}

fn finish(printer: Printer, report: &CallReport) -> u8 {
    printer.report(report);
    let heard = report.answered && report.sound_sent && report.sound_received;
    if heard { DONE } else { FAILED }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
