//! Arguments to a face.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use chordial::cli::{self, Arguments, Asked};

fn main() -> ExitCode {
    match Arguments::read() {
        Ok(Asked::Window { state, pcap }) => window(state, pcap),
        Ok(Asked::Sim(arguments)) => simulate(&arguments),
        Ok(Asked::Job(job)) => cli::run(*job),
        Err(code) => code,
    }
}

/// Opens the window on this thread; the phone runs on others.
#[cfg(feature = "gui")]
fn window(state: Option<std::path::PathBuf>, pcap: Option<std::path::PathBuf>) -> ExitCode {
    match open_window(state, pcap) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => cli::bad_input(&sentence).into(),
    }
}

#[cfg(feature = "gui")]
fn open_window(
    state: Option<std::path::PathBuf>,
    pcap: Option<std::path::PathBuf>,
) -> Result<(), String> {
    use chordial::link::Pcap;
    use chordial::phone::{Command, PhoneOptions, StateFolder, platform_key_store, start};

    let path = state.or_else(StateFolder::default_path);
    let path = path.ok_or("This computer has no folder for the user's data; give --state.")?;
    let folder = StateFolder::open(&path).map_err(|e| e.to_string())?;
    let folder = folder.with_key_store(platform_key_store());
    let pcap = pcap.as_deref().map(Pcap::create).transpose().map_err(|e| format!("{e}."))?;
    let runtime = cli::runtime(cli::WORKERS)
        .map_err(|e| format!("The program can't start its tasks: {e}."))?;
    let options = PhoneOptions {
        state: folder,
        listen: None,
        auto_answer: false,
        play: None,
        record: None,
        pcap,
        is_attended: true,
    };
    let phone = {
        let _inside = runtime.enter();
        start(options).map_err(|e| e.to_string())?
    };
    if phone.snapshot().settings.join_at_start {
        phone.send(Command::Rejoin);
    }
    let close = std::sync::Arc::new(tokio::sync::Notify::new());
    let options = chordial::gui::WindowOptions {
        title_suffix: None,
        view_state: Some(path.join("window.ron")),
        close: Some(close.clone()),
    };
    runtime.spawn(async move {
        cli::interrupted().await;
        close.notify_one();
    });
    let result = chordial::gui::run(phone.clone(), options).map_err(|e| format!("{e}."));
    // Closing the window leaves all overlays in order.
    runtime.block_on(cli::farewell(phone));
    result
}

#[cfg(not(feature = "gui"))]
fn window(_state: Option<std::path::PathBuf>, _pcap: Option<std::path::PathBuf>) -> ExitCode {
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
