//! Arguments to a face.

use std::process::ExitCode;

use chordial::cli::{self, Arguments, Asked};

fn main() -> ExitCode {
    match Arguments::read() {
        Ok(Asked::Window { state, pcap }) => window(state, pcap),
        Ok(Asked::Sim(arguments)) => simulate(&arguments),
        Ok(Asked::Job(job)) => cli::run(job),
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
    use chordial::phone::{Command, PhoneOptions, StateFolder, start};

    let path = state.or_else(StateFolder::default_path);
    let path = path.ok_or("This computer has no folder for the user's data; give --state.")?;
    let folder = StateFolder::open(&path).map_err(|e| e.to_string())?;
    let pcap = pcap.as_deref().map(Pcap::create).transpose().map_err(|e| format!("{e}."))?;
    let runtime = cli::runtime().map_err(|e| format!("The program can't start its tasks: {e}."))?;
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
    let snapshot = phone.snapshot();
    if let (true, Some(last)) = (snapshot.settings.join_at_start, &snapshot.last) {
        let user = last.user.clone();
        phone.send(Command::Join { document: None, user, bootstrap: Vec::new() });
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
    // Closing the window leaves the overlay in order.
    runtime.block_on(cli::farewell(phone));
    result
}

#[cfg(not(feature = "gui"))]
fn window(_state: Option<std::path::PathBuf>, _pcap: Option<std::path::PathBuf>) -> ExitCode {
    cli::bad_input("This program was built without the window; see chordial --help.").into()
}

#[cfg(feature = "sim")]
fn simulate(arguments: &cli::SimArguments) -> ExitCode {
    let scenario = chordial::sim::Scenario::new(arguments.peers as usize, arguments.seed);
    let summary = chordial::sim::run(&scenario, &mut |line| println!("{line}"));
    if arguments.json {
        println!("{}", cli::json_line(&summary));
    }
    ExitCode::SUCCESS
}

#[cfg(not(feature = "sim"))]
fn simulate(_arguments: &cli::SimArguments) -> ExitCode {
    cli::bad_input("This program was built without the simulator.").into()
}
