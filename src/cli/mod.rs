//! The command line: arguments, a phone without a window, the server of an overlay, and the
//! demonstration.

mod accounts;
mod again;
mod arguments;
mod ctl;
mod demo;
mod document;
mod entrance;
mod events;
mod headless;
mod keeping;
mod serve;
mod sip_account;
mod state_lines;

pub use headless::{farewell, interrupted};

pub use accounts::AccountArguments;
pub use again::hand_over;
pub use arguments::{
    Arguments, Asked, Job, PhoneArguments, SimArguments, SimTable, WindowArguments,
};

pub use ctl::CtlArguments;
pub use document::{NewArguments, SignArguments};
pub use serve::ServeArguments;
pub use sip_account::SipArguments;

use std::process::ExitCode;

/// Success.
const DONE: u8 = 0;
/// What was asked for did not come about.
const FAILED: u8 = 1;
/// The input cannot be used; nothing has happened.
const BAD_INPUT: u8 = 2;

/// Runs a job that needs no window; what went wrong is one line on stderr.
pub fn run(job: Job) -> ExitCode {
    let code = match job {
        Job::NewOverlay(new) => document::new(new),
        Job::Sign(sign) => document::sign(&sign),
        Job::Serve(serve) => block_on(serve::serve(serve)),
        Job::Account(account) => accounts::run(&account),
        Job::Invite { document, addresses } => entrance::invite(&document, addresses),
        Job::Ctl(arguments) => ctl::run(&arguments),
        Job::Peer(phone) => block_on(headless::peer(phone)),
        Job::Call { phone, name, seconds } => block_on(headless::call(phone, name, seconds)),
        Job::Message { phone, name, text, wait } => {
            block_on(headless::message(phone, name, text, wait))
        }
        Job::Sip(sip) => block_on(sip_account::run(sip)),
        Job::BackUp { keys, out, password_file } => {
            keeping::back_up(&keys, &out, password_file.as_deref())
        }
        Job::Restore { keys, file, password_file } => {
            keeping::restore(&keys, &file, password_file.as_deref())
        }
        Job::Demo { peers, seconds, json, pcap } => block_on(demo::run(peers, seconds, json, pcap)),
    };
    ExitCode::from(code)
}

/// Writes a line for people to stderr and gives the exit code of bad input.
pub fn bad_input(sentence: &str) -> u8 {
    eprintln!("chordial: {}", sentence.lines().next().unwrap_or("the input cannot be used"));
    BAD_INPUT
}

/// Writes a line. That nobody reads it is no failure.
pub fn print_line(out: &mut impl std::io::Write, line: &str) {
    let _ = writeln!(out, "{line}");
}

/// A value as JSON on one line.
pub fn json_line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The runtime of a phone with so many threads.
pub fn runtime(workers: usize) -> std::io::Result<tokio::runtime::Runtime> {
    crate::link::Clock::begin_ticks();
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

fn block_on(job: impl Future<Output = u8>) -> u8 {
    match runtime(WORKERS_HEADLESS) {
        Ok(runtime) => {
            let code = runtime.block_on(job);
            runtime.shutdown_timeout(SHUTDOWN_MAX);
            code
        }
        Err(error) => {
            eprintln!("chordial: the program can't start its tasks: {error}.");
            FAILED
        }
    }
}

/// A node is one task and its links; two threads keep sound smooth beside them.
pub const WORKERS: usize = 2;
/// Without a window a single one sleeps longer: two wake each other up.
const WORKERS_HEADLESS: usize = 1;
/// Tasks that wait for the system end with the program.
const SHUTDOWN_MAX: std::time::Duration = std::time::Duration::from_millis(500);
