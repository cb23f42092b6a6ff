//! `chordial ctl`: the phone that is running, steered from the command line.

mod calls;
mod jobs;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use self::calls::InCall;
use self::jobs::{Contacts, Messages, SipAccounts, VoiceMessages, absolute};
use super::state_lines::{
    call_line, contact_line, conversation_line, history_line, joined_line, message_line,
    sip_account_line, voice_message_line,
};
use super::{DONE, FAILED, bad_input, print_line};
use crate::phone::{Client, ControlError, StateFolder};

/// What the running phone is to do or to tell.
#[derive(Clone, Debug, Args)]
pub struct CtlArguments {
    /// The folder that the phone runs with [default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Call a name
    Call {
        /// The name
        name: String,
    },
    #[command(flatten)]
    InCall(InCall),
    /// List the calls that go on
    Calls,
    /// List conversations, or write
    Messages {
        #[command(subcommand)]
        job: Option<Messages>,
    },
    /// List what the answering machine has taken, or play it
    VoiceMessages {
        #[command(subcommand)]
        job: Option<VoiceMessages>,
    },
    /// List contacts, or change them
    Contacts {
        #[command(subcommand)]
        job: Option<Contacts>,
    },
    /// List the ordinary accounts by which calls leave the overlays and come in, or change them
    SipAccounts {
        #[command(subcommand)]
        job: Option<SipAccounts>,
    },
    /// List past calls
    History {
        /// Forget them
        #[arg(long)]
        clear: bool,
    },
    /// Tell how we are in which overlays, and who calls
    Status,
    /// Join an overlay
    Join {
        /// Its name, its document, or a reload-invite: link
        overlay: String,
        /// Our name there
        #[arg(long)]
        user: String,
    },
    /// Leave an overlay, or all
    Leave {
        /// Its name
        overlay: Option<String>,
    },
    /// Have calls forwarded
    Forward {
        /// To whom; without a name to nobody
        to: Option<String>,
    },
    /// List settings, or change them
    Settings {
        /// What becomes what, such as theme=dark
        #[arg(value_name = "NAME=VALUE")]
        changes: Vec<String>,
    },
    /// Print events as they happen, a JSON object on a line each
    Events {
        /// End after an event of this name
        #[arg(long, value_name = "EVENT")]
        until: Option<String>,
    },
    /// Print parts of what the window shows, or all, as JSON
    Show {
        /// Such as calls, memberships, networks
        parts: Vec<String>,
    },
    /// Carry out any command, given as JSON
    Do {
        /// Such as {"dial":"bob"}; - reads it from stdin, for what has a password in it
        command: String,
    },
    /// Bring the window to the front
    Open {
        /// A sip:, sips: or tel: address to be called
        address: Option<String>,
    },
    /// Close the window; where there is a tray, the phone may stay there
    Close,
    /// Close the window and end the program
    Quit,
}

/// Does what is asked; what can't be done is one line on stderr.
pub(super) fn run(arguments: &CtlArguments) -> u8 {
    let Some(folder) = arguments.state.clone().or_else(StateFolder::default_path) else {
        return bad_input("This computer has no folder for the user's data; give --state.");
    };
    match Client::connect(&folder).map_err(Failure::from).and_then(|phone| {
        let mut ctl = Ctl { phone, json: arguments.json };
        ctl.run(&arguments.verb)
    }) {
        Ok(()) => DONE,
        Err(Failure::BadInput(sentence)) => bad_input(&sentence),
        Err(Failure::NotDone(sentence)) => {
            bad_input(&sentence);
            FAILED
        }
    }
}

enum Failure {
    BadInput(String),
    NotDone(String),
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::NotDone(error.to_string())
    }
}

struct Ctl {
    phone: Client,
    json: bool,
}

impl Ctl {
    fn run(&mut self, verb: &Verb) -> Result<(), Failure> {
        match verb {
            Verb::Call { name } => self.call(name),
            Verb::InCall(verb) => self.in_call(verb),
            Verb::Calls => self.list("calls", call_line, "Nobody calls."),
            Verb::Messages { job: None } => {
                self.list("conversations", conversation_line, "Nobody has written yet.")
            }
            Verb::Messages { job: Some(job @ Messages::Read { aor }) } => {
                self.conversation(aor)?;
                self.command(&job.command())
            }
            Verb::Messages { job: Some(job) } => self.command(&job.command()),
            Verb::VoiceMessages { job: Some(job) } => self.command(&job.command()),
            Verb::VoiceMessages { job: None } => {
                self.list("voice_messages", voice_message_line, "There are no messages.")
            }
            Verb::Contacts { job: Some(job) } => self.command(&job.command()?),
            Verb::Contacts { job: None } => {
                self.list("contacts", contact_line, "There are no contacts yet.")
            }
            Verb::SipAccounts { job: Some(job) } => self.command(&job.command()?),
            Verb::SipAccounts { job: None } => {
                self.list("sip_accounts", sip_account_line, "There are no accounts yet.")
            }
            Verb::History { clear: true } => self.command(&json!("clear_history")),
            Verb::History { clear: false } => {
                self.list("history", history_line, "There were no calls yet.")
            }
            Verb::Status => self.status(),
            Verb::Join { overlay, user } => self.join(overlay, user),
            Verb::Leave { overlay } => self.command(&json!({ "leave": overlay })),
            Verb::Forward { to } => self.command(&json!({ "forward": to })),
            Verb::Settings { changes } => self.settings(changes),
            Verb::Events { until } => self.events(until.as_deref()),
            Verb::Show { parts } => {
                let shown = self.phone.ask(json!({ "show": parts }))?;
                print(&shown["snapshot"].to_string());
                Ok(())
            }
            Verb::Do { command } => self.command(&json_command(command)?),
            Verb::Open { address } => {
                let address = address.as_deref().unwrap_or_default();
                self.phone.ask(json!({ "open": address }))?;
                Ok(())
            }
            Verb::Close => {
                self.phone.ask(json!({ "close": true }))?;
                Ok(())
            }
            Verb::Quit => {
                self.phone.ask(json!({ "quit": true }))?;
                Ok(())
            }
        }
    }

    fn command(&mut self, command: &Value) -> Result<(), Failure> {
        self.phone.ask(json!({ "command": command }))?;
        Ok(())
    }

    /// A part of the snapshot.
    fn part(&mut self, name: &str) -> Result<Value, Failure> {
        let mut answer = self.phone.ask(json!({ "show": [name] }))?;
        Ok(answer["snapshot"][name].take())
    }

    fn call(&mut self, name: &str) -> Result<(), Failure> {
        self.command(&json!({ "dial": name }))?;
        let calls = self.part("calls")?;
        // The newest is the first.
        let begun = calls.as_array().and_then(|calls| calls.first());
        match begun {
            Some(call) => self.print(call, &call_line(call)),
            None => return Err(Failure::NotDone("The call has ended already.".to_owned())),
        }
        Ok(())
    }

    fn conversation(&mut self, aor: &str) -> Result<(), Failure> {
        let conversations = self.part("conversations")?;
        let mut conversations = conversations.as_array().into_iter().flatten();
        let found = conversations.find(|conversation| conversation["peer"] == aor);
        let found = found.ok_or_else(|| {
            Failure::NotDone(format!(
                "There is no conversation with {aor}; chordial ctl messages lists all."
            ))
        })?;
        let messages = found["messages"].as_array().into_iter().flatten();
        messages.for_each(|message| self.print(message, &message_line(message)));
        Ok(())
    }

    fn list(&mut self, part: &str, line: fn(&Value) -> String, none: &str) -> Result<(), Failure> {
        let list = self.part(part)?;
        let rows = list.as_array().map_or(&[][..], Vec::as_slice);
        match rows {
            [] if !self.json => print(none),
            _ => rows.iter().for_each(|row| self.print(row, &line(row))),
        }
        Ok(())
    }

    fn status(&mut self) -> Result<(), Failure> {
        let parts = ["memberships", "calls", "notice", "damage"];
        let answer = self.phone.ask(json!({ "show": parts }))?;
        let snapshot = &answer["snapshot"];
        if self.json {
            print(&snapshot.to_string());
            return Ok(());
        }
        let rows = |part: &str| snapshot[part].as_array().cloned().unwrap_or_default();
        if rows("memberships").is_empty() {
            print("In no overlay.");
        }
        rows("memberships").iter().for_each(|membership| print(&joined_line(membership)));
        rows("calls").iter().for_each(|call| print(&call_line(call)));
        snapshot["notice"].as_str().into_iter().for_each(print);
        rows("damage").iter().filter_map(Value::as_str).for_each(print);
        Ok(())
    }

    fn join(&mut self, overlay: &str, user: &str) -> Result<(), Failure> {
        let entrance = match overlay {
            link if link.starts_with("reload-invite:") => json!({ "invitation": link }),
            file if Path::new(file).exists() => json!({ "document": absolute(file.as_ref())? }),
            name => json!({ "name": name }),
        };
        let join = json!({ "entrance": entrance, "user": user, "bootstrap": [] });
        self.command(&json!({ "join": join }))
    }

    fn settings(&mut self, changes: &[String]) -> Result<(), Failure> {
        let mut set = Map::new();
        for change in changes {
            let (name, value) = change.split_once('=').ok_or_else(|| {
                Failure::BadInput(format!("{change:?} is no setting with a value: NAME=VALUE."))
            })?;
            // What is no JSON is a text.
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            set.insert(name.to_owned(), value);
        }
        if !set.is_empty() {
            self.phone.ask(json!({ "set": set }))?;
            return Ok(());
        }
        let settings = self.part("settings")?;
        if self.json {
            print(&settings.to_string());
        } else if let Some(settings) = settings.as_object() {
            settings.iter().for_each(|(name, value)| print(&format!("{name}={value}")));
        }
        Ok(())
    }

    fn events(&mut self, until: Option<&str>) -> Result<(), Failure> {
        self.phone.ask(json!({ "follow": ["events"] }))?;
        loop {
            let event = self.phone.next_line()?;
            print(&event.to_string());
            if until.is_some_and(|name| event["event"] == name) {
                return Ok(());
            }
        }
    }

    fn print(&self, value: &Value, sentence: &str) {
        match self.json {
            true => print(&value.to_string()),
            false => print(sentence),
        }
    }
}

fn json_command(text: &str) -> Result<Value, Failure> {
    let text = match text {
        "-" => std::io::read_to_string(std::io::stdin())
            .map_err(|e| Failure::BadInput(format!("The command can't be read: {e}.")))?,
        text => text.to_owned(),
    };
    serde_json::from_str(&text)
        .map_err(|e| Failure::BadInput(format!("The command is no JSON: {e}.")))
}

fn print(line: &str) {
    print_line(&mut std::io::stdout(), line);
}
