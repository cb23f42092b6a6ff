//! Arguments to a face.

#![forbid(unsafe_code)]

#[cfg(feature = "gui")]
use std::cell::RefCell;
#[cfg(feature = "gui")]
use std::path::PathBuf;
use std::process::ExitCode;
#[cfg(feature = "gui")]
use std::rc::Rc;
#[cfg(feature = "gui")]
use std::sync::mpsc::{Sender, channel};
#[cfg(feature = "gui")]
use std::thread::JoinHandle;

use chordial::cli::{self, Arguments, Asked};
#[cfg(feature = "gui")]
use chordial::gui::{Desktop, Shown};
#[cfg(feature = "gui")]
use chordial::phone::{Command, Control, Handle, PhoneOptions, Wish, start};
#[cfg(feature = "gui")]
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    match Arguments::read() {
        Ok(Asked::Window(arguments)) => window(arguments),
        Ok(Asked::Sim(arguments)) => simulate(&arguments),
        Ok(Asked::Job(job)) => cli::run(*job),
        Err(code) => code,
    }
}

/// Opens the window on this thread; the phone runs on others.
#[cfg(feature = "gui")]
fn window(arguments: cli::WindowArguments) -> ExitCode {
    match open_window(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => cli::bad_input(&sentence).into(),
    }
}

#[cfg(feature = "gui")]
fn open_window(arguments: cli::WindowArguments) -> Result<(), String> {
    use chordial::gui::{WindowError, WindowOptions};
    use chordial::link::Pcap;
    use chordial::phone::{StateError, StateFolder, platform_key_store, to_dial};

    let cli::WindowArguments { address, state, pcap, hidden } = arguments;
    let path = state.or_else(StateFolder::default_path);
    let path = path.ok_or("This computer has no folder for the user's data; give --state.")?;
    let folder = match StateFolder::open(&path) {
        Err(error @ StateError::InUse(_)) => {
            let handed_over = cli::hand_over(&path, address.as_deref());
            return handed_over.map_err(|why| why.unwrap_or_else(|| error.to_string()));
        }
        folder => folder.map_err(|e| e.to_string())?,
    };
    let folder = folder.with_key_store(platform_key_store());
    let pcap = pcap.as_deref().map(Pcap::create).transpose().map_err(|e| format!("{e}."))?;
    let to_dial = address.as_deref().map(to_dial).transpose()?;
    let options = PhoneOptions {
        state: folder,
        listen: None,
        auto_answer: false,
        play: None,
        record: None,
        pcap,
        is_attended: true,
    };
    let (wisher, wishes) = tokio::sync::mpsc::channel(WISHES_MAX);
    let window = WindowOptions {
        title_suffix: None,
        view_state: Some(path.join("window.ron")),
        wishes: Some(wishes),
    };
    let opening = Opening { options, path, wisher, to_dial, hidden };
    let running = Rc::new(RefCell::new(None));
    let opened = running.clone();
    let start = move || {
        let (told, phone) = channel();
        match cli::runtime(cli::WORKERS) {
            Ok(runtime) => {
                let opening = opening.start(&runtime, told);
                opened.replace(Some((runtime, opening)));
            }
            Err(e) => {
                let _ = told.send(Err(format!("The program can't start its tasks: {e}.")));
            }
        }
        move || phone.recv().unwrap_or_else(|_| Err("The phone has ended.".to_owned()))
    };
    let result = chordial::gui::run(start, window).map_err(|error| match error {
        WindowError::Phone(sentence) => sentence,
        error => format!("{error}."),
    });
    // Closing the window leaves all overlays in order.
    if let Some((runtime, opening)) = running.take()
        && let Ok(Some((phone, _control))) = opening.join()
    {
        runtime.block_on(cli::farewell(phone));
    }
    result
}

/// Opens the phone behind a window.
#[cfg(feature = "gui")]
type OpeningThread = JoinHandle<Option<(Handle, Option<Control>)>>;

/// The phone behind a window that is being opened.
#[cfg(feature = "gui")]
struct Opening {
    options: PhoneOptions,
    /// The folder that it runs with.
    path: PathBuf,
    wisher: tokio::sync::mpsc::Sender<Wish>,
    /// What stands in the dial field at first.
    to_dial: Option<String>,
    /// Whether the window is to stay away.
    hidden: bool,
}

#[cfg(feature = "gui")]
impl Opening {
    /// Opens it on a thread of its own, as it waits for the disk and the window for the system
    /// that is to draw it. The thread ends with the phone that was opened and its control.
    fn start(self, runtime: &Runtime, told: Sender<Result<Shown, String>>) -> OpeningThread {
        let tasks = runtime.handle().clone();
        std::thread::spawn(move || {
            let _inside = tasks.enter();
            let (shown, control) = self.open().map_err(|error| told.send(Err(error))).ok()?;
            let phone = shown.handle.clone();
            // Without a window nobody waits for it.
            let _ = told.send(Ok(shown));
            Some((phone, control))
        })
    }

    /// Starts it, and what else shows and steers it.
    fn open(self) -> Result<(Shown, Option<Control>), String> {
        let Self { options, path, wisher, to_dial, hidden } = self;
        let phone = start(options).map_err(|e| e.to_string())?;
        // A phone that can't be steered from outside is a phone all the same.
        let control = Control::serve(phone.clone(), &path, Some(wisher.clone()));
        let control = control.map_err(|error| eprintln!("chordial: {error}")).ok();
        if phone.snapshot().settings.join_at_start {
            phone.send(Command::Rejoin);
        }
        if let Some(to_dial) = to_dial {
            let _ = wisher.try_send(Wish::Open(Some(to_dial)));
        }
        let desktop = Some(Desktop::start(phone.clone(), wisher.clone(), hidden));
        tokio::spawn(async move {
            cli::interrupted().await;
            let _ = wisher.send(Wish::Quit).await;
        });
        Ok((Shown { handle: phone, desktop }, control))
    }
}

/// What other programs ask of the window in one go.
#[cfg(feature = "gui")]
const WISHES_MAX: usize = 8;

#[cfg(not(feature = "gui"))]
fn window(_arguments: cli::WindowArguments) -> ExitCode {
    cli::bad_input("This program was built without the window; see chordial --help.").into()
}

#[cfg(feature = "sim")]
fn simulate(arguments: &cli::SimArguments) -> ExitCode {
    use chordial::routing::chord::Table;
    use chordial::sim::{Faults, Scenario, run};
    use std::time::Duration;

    let table = match arguments.table {
        cli::SimTable::Plain => Table::Plain,
        cli::SimTable::Wide => Table::Wide,
    };
    let (loss, half) = (arguments.loss, arguments.loss / 2.0);
    let scenario = Scenario {
        table,
        links: usize::from(arguments.links),
        safety: Duration::from_secs_f64(arguments.hours * 3600.0),
        session: arguments.session.map(Duration::from_secs),
        kill: arguments.kill,
        partition: Duration::from_secs(arguments.partition),
        faults: Faults { loss, duplication: half, reordering: half },
        hostile: arguments.hostile,
        walls: arguments.walls,
        is_traced: arguments.trace,
        ..Scenario::new(arguments.peers, arguments.seed)
    };
    let stdout = std::io::stdout().lock();
    // A trace has too many lines to write each at once.
    let mut out: Box<dyn std::io::Write> = match arguments.trace {
        true => Box::new(std::io::BufWriter::new(stdout)),
        false => Box::new(stdout),
    };
    let summary = run(&scenario, &mut |line| cli::print_line(&mut out, line));
    if arguments.json {
        cli::print_line(&mut out, &cli::json_line(&summary));
    }
    match summary.findings.count() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(not(feature = "sim"))]
fn simulate(_arguments: &cli::SimArguments) -> ExitCode {
    cli::bad_input("This program was built without the simulator.").into()
}
