//! The verbs about calls that go on: which one is meant, and what becomes of it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Ctl, Failure};
use crate::cli::state_lines::state_of;

#[derive(Clone, Debug, Subcommand)]
pub(super) enum InCall {
    /// Answer the call that comes in; by its number also one that the answering machine has
    Answer(WhichCall),
    /// Decline the call that comes in
    Decline(WhichCall),
    /// End a call, or give up calling
    #[command(alias = "hangup")]
    HangUp(WhichCall),
    /// Put a call on hold
    Hold(WhichCall),
    /// Go on with a call that is on hold
    Resume(WhichCall),
    /// Cut the microphone off
    Mute(WhichCall),
    /// Let the microphone be heard again
    Unmute(WhichCall),
    /// Press keys of a telephone in a call
    Dtmf {
        /// 0 to 9, *, # and A to D
        keys: String,
        #[command(flatten)]
        which: WhichCall,
    },
    /// Connect the other side of a call to somebody else
    Transfer {
        /// The name that is called, or a call's number after `call:`
        to: String,
        #[command(flatten)]
        which: WhichCall,
    },
    /// Record a call to a file in the phone's folder; the other side is told
    Record {
        /// End the recording
        #[arg(long)]
        stop: bool,
        #[command(flatten)]
        which: WhichCall,
    },
    /// Let the other sides of two calls hear each other
    Merge {
        /// Their numbers in `chordial ctl calls` [default: the only two]
        #[arg(num_args = 2, value_name = "NUMBER")]
        calls: Vec<u64>,
    },
    /// Talk in one of the merged calls alone; the others are put on hold
    Split(WhichCall),
}

/// One of the calls that go on.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct WhichCall {
    /// The call's number in `chordial ctl calls` [default: the only one]
    #[arg(long = "call", value_name = "NUMBER")]
    number: Option<u64>,
}

/// Calls that a verb is about.
#[derive(Clone, Copy)]
struct Kind {
    fits: fn(&str) -> bool,
    none: &'static str,
}

const ANY: Kind = Kind { fits: |_| true, none: "There is no call." };
const RINGS_HERE: Kind = Kind { fits: |state| state == "incoming", none: "Nobody is calling." };
const TALKS: Kind = Kind { fits: |state| state == "talking", none: "There is no call to talk in." };
const GOES_ON: Kind = Kind { fits: |state| state != "ended", none: "There is no call." };

impl Ctl {
    /// Does what is asked with a call.
    pub(super) fn in_call(&mut self, verb: &InCall) -> Result<(), Failure> {
        match verb {
            InCall::Answer(which) => {
                self.with_call(*which, RINGS_HERE, |id| json!({ "answer": id }))
            }
            InCall::Decline(which) => {
                self.with_call(*which, RINGS_HERE, |id| json!({ "decline": id }))
            }
            InCall::HangUp(which) => self.with_call(*which, GOES_ON, |id| json!({ "hang_up": id })),
            InCall::Hold(which) => {
                self.with_call(*which, TALKS, |id| json!({ "hold": [id, true] }))
            }
            InCall::Resume(which) => {
                self.with_call(*which, TALKS, |id| json!({ "hold": [id, false] }))
            }
            InCall::Mute(which) => {
                self.with_call(*which, GOES_ON, |id| json!({ "mute": [id, true] }))
            }
            InCall::Unmute(which) => {
                self.with_call(*which, GOES_ON, |id| json!({ "mute": [id, false] }))
            }
            InCall::Dtmf { keys, which } => {
                for key in keys.chars() {
                    self.with_call(*which, TALKS, |id| json!({ "digit": [id, key] }))?;
                }
                Ok(())
            }
            InCall::Transfer { to, which } => self.transfer(to, *which),
            InCall::Record { stop, which } => {
                self.with_call(*which, TALKS, |id| json!({ "record": [id, !stop] }))
            }
            InCall::Merge { calls } => self.merge(calls),
            InCall::Split(which) => self.with_call(*which, TALKS, |id| json!({ "split": id })),
        }
    }

    /// Gives the command for the chosen call, or the only one of this kind.
    fn with_call(
        &mut self,
        which: WhichCall,
        kind: Kind,
        command: impl Fn(u64) -> Value,
    ) -> Result<(), Failure> {
        let id = self.chosen(which, kind)?;
        self.command(&command(id))
    }

    /// The numbers of all calls of a kind.
    fn fitting(&mut self, kind: Kind) -> Result<Vec<u64>, Failure> {
        let calls = self.part("calls")?;
        let calls = calls.as_array().map_or(&[][..], Vec::as_slice);
        let fitting = calls.iter().filter(|call| (kind.fits)(state_of(call)));
        Ok(fitting.map(|call| call["id"].as_u64().unwrap_or_default()).collect())
    }

    fn chosen(&mut self, which: WhichCall, kind: Kind) -> Result<u64, Failure> {
        if let Some(number) = which.number {
            let is_there = self.fitting(ANY)?.contains(&number);
            let missing = || Failure::NotDone(format!("There is no call {number}."));
            return is_there.then_some(number).ok_or_else(missing);
        }
        match self.fitting(kind)?[..] {
            [only] => Ok(only),
            [] => Err(Failure::NotDone(kind.none.to_owned())),
            _ => Err(Failure::NotDone(
                "There are several calls: say which by --call and its number.".to_owned(),
            )),
        }
    }

    fn transfer(&mut self, to: &str, which: WhichCall) -> Result<(), Failure> {
        let Some(other) = to.strip_prefix("call:") else {
            return self.with_call(
                which,
                TALKS,
                |id| json!({ "transfer": { "call": id, "to": to } }),
            );
        };
        let other: u64 = other
            .parse()
            .map_err(|_| Failure::BadInput(format!("{other:?} is no number of a call.")))?;
        self.with_call(which, TALKS, |id| json!({ "transfer_to": { "call": id, "other": other } }))
    }

    fn merge(&mut self, calls: &[u64]) -> Result<(), Failure> {
        let talking = self.fitting(TALKS)?;
        let (call, other) = match (calls, &talking[..]) {
            ([call, other], _) | ([], [call, other]) => (call, other),
            ([], [_, _, ..]) => {
                return Err(Failure::NotDone(
                    "There are more than two calls: give the numbers of two.".to_owned(),
                ));
            }
            _ => return Err(Failure::NotDone("There are no two calls to talk in.".to_owned())),
        };
        if let Some(number) = [call, other].into_iter().find(|number| !talking.contains(number)) {
            return Err(Failure::NotDone(format!("Nobody talks in a call {number}.")));
        }
        self.command(&json!({ "merge": { "call": call, "other": other } }))
    }
}
