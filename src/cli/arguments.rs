//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::accounts::AccountArguments;
use super::ctl::CtlArguments;
use super::document::{NewArguments, SignArguments};
use super::serve::ServeArguments;
use super::sip_account::SipArguments;
use crate::phone::{LentRelay, to_dial};

/// Calls between people with no server in the middle.
#[derive(Clone, Debug, Parser)]
#[command(name = "chordial", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; without it the window opens
    #[command(subcommand)]
    command: Option<CommandLine>,
    #[command(flatten)]
    window: WindowArguments,
}

/// How the window opens.
#[derive(Clone, Debug, Args)]
pub struct WindowArguments {
    /// Whom to call, as other programs have it in links: a sip:, sips: or tel: address
    #[arg(value_name = "ADDRESS", value_parser = address)]
    pub address: Option<String>,
    /// Folder of the user's data [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Write every RELOAD and SIP message to this file, for Wireshark
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Stay in the tray until the window is asked for, where there is a tray
    #[arg(long)]
    pub hidden: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum CommandLine {
    /// Make overlays
    Overlay {
        #[command(subcommand)]
        command: OverlayCommand,
    },
    /// Steer the Chordial that is running, with a window or without
    Ctl(CtlArguments),
    /// Be a peer without a window, reachable under a name
    Peer(PhoneArguments),
    /// Join, call a name, hang up after a while
    Call {
        /// The name to call
        name: String,
        /// How long to talk, in seconds
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        #[command(flatten)]
        phone: PhoneArguments,
    },
    /// Join and write to a name; what is not delivered in time is kept and delivered by the next
    /// phone on the same folder
    Message {
        /// The name to write to
        name: String,
        /// The text
        text: String,
        /// How long to try to deliver it, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        wait: u64,
        #[command(flatten)]
        phone: PhoneArguments,
    },
    /// Be a phone at an ordinary SIP provider
    Sip(SipArguments),
    /// Write all identities, documents and memories of a user to one encrypted file
    Backup {
        /// The file to write; an older backup is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// File with the backup's password on its first line [default: ask on stdin]
        #[arg(long, value_name = "FILE")]
        backup_password_file: Option<PathBuf>,
        #[command(flatten)]
        keys: KeyArguments,
    },
    /// Bring back what is in a backup; an identity that is here already is never overwritten
    Restore {
        /// The backup
        file: PathBuf,
        /// File with the backup's password on its first line [default: ask on stdin]
        #[arg(long, value_name = "FILE")]
        backup_password_file: Option<PathBuf>,
        #[command(flatten)]
        keys: KeyArguments,
    },
    /// Start an overlay of several peers on this machine and let alice call bob
    Demo {
        /// How many peers, alice and bob among them
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(3..=64))]
        peers: u8,
        /// How long alice and bob talk, in seconds
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=600))]
        seconds: u64,
        /// One JSON object on a line for each step
        #[arg(long)]
        json: bool,
        /// Write every RELOAD and SIP message of alice to this file, for Wireshark
        #[arg(long, value_name = "FILE")]
        pcap: Option<PathBuf>,
    },
    /// Run many peers under a virtual clock
    Sim(SimArguments),
}

#[derive(Clone, Debug, Subcommand)]
enum OverlayCommand {
    /// Write the document of a new overlay that permits self-signed certificates
    New(NewArguments),
    /// Sign a document that was changed, as the one that follows it
    Sign(SignArguments),
    /// Be an overlay's configuration and enrollment server, and its first peer
    Serve(ServeArguments),
    /// Make, list, disable and revoke accounts of an overlay that is served from here
    Account(AccountArguments),
    /// Print a link that invites to the overlay of a document
    Invite {
        /// The overlay's document
        document: PathBuf,
        /// A peer to join through, in place of those of the document; may be repeated
        #[arg(long, value_name = "IP:PORT")]
        address: Vec<SocketAddr>,
    },
}

/// Where a user's private keys are, and what opens them.
#[derive(Clone, Debug, Args)]
pub struct KeyArguments {
    /// Folder of the user's data
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// File with a password on its first line, under which private keys in the folder are
    /// encrypted [default: they stay as they are]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// A phone without a window.
#[derive(Clone, Debug, Args)]
pub struct PhoneArguments {
    /// The overlay: its document, its name, or a reload-invite: link
    #[arg(long, value_name = "FILE.xml|NAME|LINK")]
    pub overlay: String,
    /// Our name in the overlay
    #[arg(long)]
    pub user: String,
    /// The user's folder and what opens its private keys
    #[command(flatten)]
    pub keys: KeyArguments,
    /// The account that the overlay's enrollment server knows us by [default: our name]
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// File with the account's password on its first line
    #[arg(long, value_name = "FILE")]
    pub account_password_file: Option<PathBuf>,
    /// Others who have our name in an overlay without an authority are further devices of ours
    #[arg(long)]
    pub another_device: bool,
    /// Where other peers reach us first [default: port 6084, or any if that is in use]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<SocketAddr>,
    /// A peer to join through, beside those of the document; may be repeated
    #[arg(long, value_name = "IP:PORT")]
    pub bootstrap: Vec<SocketAddr>,
    /// Join an overlay that was found on this network by its name alone, though nothing proves
    /// that it is the right one [default: ask, where there is somebody to ask]
    #[arg(long)]
    pub accept_unproved: bool,
    /// Found the overlay: be its first peer
    #[arg(long)]
    pub first: bool,
    /// Answer every call
    #[arg(long)]
    pub answer: bool,
    /// Have calls to this device's user forwarded to another name
    #[arg(long, value_name = "NAME")]
    pub forward_to: Option<String>,
    /// Have callers use SIPS, and refuse SIP
    #[arg(long)]
    pub sips_only: bool,
    /// Kilobits in a second that others may relay through us; 0 lends nothing
    #[arg(long, value_name = "KBIT", default_value_t = LentRelay::default().kbit_per_s)]
    pub lend: u32,
    /// Addresses that others may have here at a time to be relayed at
    #[arg(long, value_name = "NUMBER", default_value_t = LentRelay::default().sessions)]
    pub lend_sessions: u16,
    /// A recording in the place of the microphone
    #[arg(long, value_name = "FILE.wav")]
    pub play: Option<PathBuf>,
    /// A file in the place of the speaker
    #[arg(long, value_name = "FILE.wav")]
    pub record: Option<PathBuf>,
    /// Tell what was counted every so many seconds: messages, links, and what was wrong with them
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub counters: Option<u64>,
    /// One JSON object on a line of stdout for each event
    #[arg(long)]
    pub json: bool,
    /// Write every RELOAD and SIP message to this file, for Wireshark
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}

/// A simulation.
#[derive(Clone, Debug, Args)]
pub struct SimArguments {
    /// How many peers
    #[arg(long, default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub peers: u32,
    /// Seed of all randomness: the same seed gives the same run
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// How many links each peer may have
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(16..=256))]
    pub links: u16,
    /// How much peers want to know of the ring: the minimum of RFC 6940, or what shortens ways
    #[arg(long, value_enum, default_value_t = SimTable::Wide)]
    pub table: SimTable,
    /// How long the faults go on, at least, in virtual hours
    #[arg(long, default_value_t = 0.0, value_parser = hours)]
    pub hours: f64,
    /// Mean time that a user stays, in seconds; for ever without
    #[arg(long, value_name = "MEAN_SECONDS", value_parser = clap::value_parser!(u64).range(10..))]
    pub session: Option<u64>,
    /// Share of the peers that die at one moment
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub kill: f64,
    /// For how long half of the peers cannot reach the others, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub partition: u64,
    /// Share of frames that are lost; half as many messages come twice or out of order
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    pub loss: f64,
    /// Share of the peers that are hostile
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = share)]
    pub hostile: f64,
    /// Share of the pairs of peers that can't be linked, though others reach both
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = share)]
    pub walls: f64,
    /// A line for each event
    #[arg(long)]
    pub trace: bool,
    /// A JSON object on the last line
    #[arg(long)]
    pub json: bool,
}

/// Routing tables of simulated peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SimTable {
    /// The minimum of RFC 6940 §10.
    Plain,
    /// Near peers first, and as many as links are allowed.
    Wide,
}

fn address(text: &str) -> Result<String, String> {
    to_dial(text).map(|_| text.to_owned())
}

/// A part of a whole, which cannot be all of it.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (0.0..=SHARE_MAX).contains(&share).then_some(share).ok_or(format!("not from 0 to {SHARE_MAX}"))
}

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (0.0..=HOURS_MAX).contains(&hours).then_some(hours).ok_or(format!("not from 0 to {HOURS_MAX}"))
}

/// With more faults than this there is nothing left to look at.
const SHARE_MAX: f64 = 0.9;
/// A month, after which the values of a run would have expired.
const HOURS_MAX: f64 = 720.0;

/// What the arguments ask for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Open the window.
    Window(WindowArguments),
    /// Simulate.
    Sim(SimArguments),
    /// Anything else.
    Job(Box<Job>),
}

/// What needs neither window nor simulator.
#[derive(Clone, Debug)]
pub enum Job {
    /// Write an overlay's document.
    NewOverlay(NewArguments),
    /// Sign the next one.
    Sign(SignArguments),
    /// Serve an overlay.
    Serve(ServeArguments),
    /// Change or show accounts.
    Account(AccountArguments),
    /// Print an invitation.
    Invite {
        /// The overlay's document.
        document: PathBuf,
        /// Peers to join through.
        addresses: Vec<SocketAddr>,
    },
    /// Steer the phone that runs.
    Ctl(CtlArguments),
    /// Be a peer.
    Peer(PhoneArguments),
    /// Call somebody.
    Call {
        /// The phone.
        phone: PhoneArguments,
        /// Whom.
        name: String,
        /// For how long.
        seconds: u64,
    },
    /// Write to somebody.
    Message {
        /// The phone.
        phone: PhoneArguments,
        /// Whom.
        name: String,
        /// What.
        text: String,
        /// For how many seconds it is tried.
        wait: u64,
    },
    /// Be a phone at a registrar.
    Sip(SipArguments),
    /// Write a backup.
    BackUp {
        /// Whose.
        keys: KeyArguments,
        /// The file.
        out: PathBuf,
        /// Where the backup's password is.
        password_file: Option<PathBuf>,
    },
    /// Bring back what is in a backup.
    Restore {
        /// Whose it becomes.
        keys: KeyArguments,
        /// The backup.
        file: PathBuf,
        /// Where the backup's password is.
        password_file: Option<PathBuf>,
    },
    /// Show what the program does.
    Demo {
        /// How many peers.
        peers: u8,
        /// For how long alice and bob talk.
        seconds: u64,
        /// Whether to print JSON.
        json: bool,
        /// Where alice's messages are written.
        pcap: Option<PathBuf>,
    },
}

impl Arguments {
    /// Reads the arguments of this process. What cannot be used is one line on stderr and the
    /// exit code of bad input; help and version go to stdout.
    pub fn read() -> Result<Asked, std::process::ExitCode> {
        Self::try_parse().map(Self::asked).map_err(|error| {
            if error.use_stderr() {
                // What is missing, or may be chosen, is on lines of its own behind the first.
                let text = error.to_string();
                let words = text.lines().map(str::trim).take_while(|line| !line.is_empty());
                let line = words.collect::<Vec<_>>().join(" ");
                let sentence = line.strip_prefix("error: ").unwrap_or(&line);
                return super::bad_input(&format!("{sentence} (see chordial --help)")).into();
            }
            // Help that nobody can read is no failure.
            let _ = error.print();
            std::process::ExitCode::SUCCESS
        })
    }

    fn asked(self) -> Asked {
        match self.command {
            None => Asked::Window(self.window),
            Some(CommandLine::Sim(arguments)) => Asked::Sim(arguments),
            Some(CommandLine::Overlay { command }) => Asked::Job(Box::new(match command {
                OverlayCommand::New(new) => Job::NewOverlay(new),
                OverlayCommand::Sign(sign) => Job::Sign(sign),
                OverlayCommand::Invite { document, address } => {
                    Job::Invite { document, addresses: address }
                }
                OverlayCommand::Serve(serve) => Job::Serve(serve),
                OverlayCommand::Account(account) => Job::Account(account),
            })),
            Some(CommandLine::Ctl(arguments)) => Asked::Job(Box::new(Job::Ctl(arguments))),
            Some(CommandLine::Peer(phone)) => Asked::Job(Box::new(Job::Peer(phone))),
            Some(CommandLine::Call { name, seconds, phone }) => {
                Asked::Job(Box::new(Job::Call { phone, name, seconds }))
            }
            Some(CommandLine::Message { name, text, wait, phone }) => {
                Asked::Job(Box::new(Job::Message { phone, name, text, wait }))
            }
            Some(CommandLine::Sip(sip)) => Asked::Job(Box::new(Job::Sip(sip))),
            Some(CommandLine::Backup { out, backup_password_file: password_file, keys }) => {
                Asked::Job(Box::new(Job::BackUp { keys, out, password_file }))
            }
            Some(CommandLine::Restore { file, backup_password_file: password_file, keys }) => {
                Asked::Job(Box::new(Job::Restore { keys, file, password_file }))
            }
            Some(CommandLine::Demo { peers, seconds, json, pcap }) => {
                Asked::Job(Box::new(Job::Demo { peers, seconds, json, pcap }))
            }
        }
    }
}
