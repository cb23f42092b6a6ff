//! Sound devices, for real: a tone played by our speaker into a PulseAudio of our own is heard
//! by our microphone. Needs the package `pulseaudio`, and no sound card.
#![cfg(all(feature = "sound", target_os = "linux"))]

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use chordial::media::{
    AudioSink, AudioSource, DeviceKind, FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE, SinkChoice,
    SoundError, SourceChoice, device,
};

/// A PulseAudio daemon with one sink that plays to nobody; what it plays can be recorded.
struct SoundLab {
    daemon: Child,
    folder: tempfile::TempDir,
}

impl SoundLab {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["run", "state"] {
            std::fs::create_dir(path(name)).expect("a folder");
        }
        let script = format!(
            "load-module module-native-protocol-unix auth-anonymous=1 socket={}\n\
             load-module module-null-sink sink_name=room rate=44100 channels=2\n\
             load-module module-null-sink sink_name=other\n\
             set-default-sink room\nset-default-source room.monitor\n",
            path("native").display()
        );
        std::fs::write(path("lab.pa"), script).expect("a file");
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]);
        command.arg("-F").arg(path("lab.pa")).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = environment(&mut command, folder.path()).spawn();
        let mut lab = Self { daemon: daemon.expect("pulseaudio is installed"), folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(lab.folder.path().join("native")).is_err() {
            assert!(lab.daemon.try_wait().expect("a child").is_none(), "pulseaudio has ended");
            assert!(Instant::now() < deadline, "pulseaudio does not answer");
            sleep(Duration::from_millis(50));
        }
        lab
    }

    /// Runs a test of this file again as a process of its own that uses this daemon: the
    /// environment of a process can only be set from outside.
    fn run(&self, test: &str) {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
        let output = environment(&mut command, self.folder.path()).output().expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        let fault = String::from_utf8_lossy(&output.stderr);
        eprintln!("{fault}");
        assert!(output.status.success() && text.contains("1 passed"), "{text}\n{fault}");
    }
}

/// Set in a process that runs inside the lab.
const INSIDE: &str = "CHORDIAL_TEST_INSIDE_SOUND_LAB";

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

impl Drop for SoundLab {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn environment<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("PULSE_RUNTIME_PATH", folder.join("run"))
        .env("PULSE_STATE_PATH", folder.join("state"))
        .env("PULSE_SERVER", format!("unix:{}", folder.join("native").display()))
}

/// How much of a frame's power is at `hertz`, and that power (0.5 for a full tone).
fn tone_share(frame: &Frame, hertz: f32) -> (f32, f32) {
    let step = hertz * std::f32::consts::TAU / SAMPLE_RATE as f32;
    let (mut cosine, mut sine, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in frame.iter().enumerate() {
        cosine += sample * (step * at as f32).cos();
        sine += sample * (step * at as f32).sin();
        power += sample * sample;
    }
    let length = FRAME_SAMPLES as f32;
    let at_tone = (cosine * cosine + sine * sine) * 2.0 / length;
    (at_tone / power.max(1e-9), power / length)
}

/// Plays a tone for three seconds into one sink and listens to another's monitor; the frames of
/// the last two seconds in which the tone is there.
fn play_and_listen(speaker: &str, microphone: &str) -> usize {
    const TICKS: u32 = 150;
    let sink = SinkChoice::Device(vec![speaker.into()]);
    let source = SourceChoice::Device(vec![microphone.into()]);
    let mut sink = sink.open().expect("a speaker");
    let mut source = source.open().expect("a microphone");
    let step = 450.0 * std::f32::consts::TAU / SAMPLE_RATE as f32;
    let start = Instant::now();
    let mut heard = 0;
    for tick in 0..TICKS {
        let at = |index: usize| tick as f32 * FRAME_SAMPLES as f32 + index as f32;
        let tone: Frame = std::array::from_fn(|index| (at(index) * step).sin() * 0.3);
        sink.write(&tone);
        let mut frame = SILENCE;
        source.read(&mut frame);
        let (share, power) = tone_share(&frame, 450.0);
        if tick >= TICKS - 100 && share > 0.8 && power > 0.01 {
            heard += 1;
        }
        let next = start + Duration::from_millis(20) * (tick + 1);
        sleep(next.saturating_duration_since(Instant::now()));
    }
    assert_eq!((sink.take_fault(), source.take_fault()), (None, None));
    heard
}

#[test]
fn a_tone_gets_from_the_speaker_to_the_microphone() {
    if !is_inside() {
        return SoundLab::start().run("a_tone_gets_from_the_speaker_to_the_microphone");
    }
    let heard = play_and_listen("pulseaudio:room", "pulseaudio:room.monitor");
    eprintln!("the tone is in {heard} of 100 frames");
    // A machine that has other things to do loses many; without a path there would be none, as
    // below.
    assert!(heard >= 20, "only {heard} of 100 frames hold the tone");
    let heard = play_and_listen("pulseaudio:other", "pulseaudio:room.monitor");
    assert_eq!(heard, 0, "another sink's tone is not in this room");
}

#[test]
fn devices_are_listed_chosen_and_missed() {
    if !is_inside() {
        return SoundLab::start().run("devices_are_listed_chosen_and_missed");
    }
    let speakers = device::speakers().expect("a list");
    let ids: Vec<&str> = speakers.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["pulseaudio:room", "pulseaudio:other"], "the system's choice is first");
    assert_eq!(device::microphones(), Ok(Vec::new()), "a monitor is no microphone");
    let fallback = device::open_speaker(&["gone".into()]).expect("the system's choice");
    assert_eq!(fallback.name(), speakers[0].name);
    let wishes = ["gone".into(), speakers[1].name.clone(), speakers[0].name.clone()];
    let second = device::open_speaker(&wishes).expect("the best that is there");
    assert_eq!(second.name(), speakers[1].name);
}

#[test]
fn without_a_sound_system_there_is_a_sentence() {
    if !is_inside() {
        let lab = SoundLab::start();
        std::fs::remove_file(lab.folder.path().join("native")).expect("the socket");
        return lab.run("without_a_sound_system_there_is_a_sentence");
    }
    // A machine may have ALSA devices beside; then there is nothing to see here.
    if let Err(error) = device::open_microphone(&[]) {
        let is_open = matches!(error, SoundError::Open { .. });
        let is_missing = error == SoundError::NoDevice(DeviceKind::Microphone);
        assert!(is_open || is_missing, "{error:?}");
        assert!(error.to_string().ends_with('.'), "{error}");
    }
}

/// A call and its ringer play on two devices at once, and each device keeps a part of the delay to
/// itself: one that has none turns thousands of times in a second.
#[test]
fn devices_turn_no_faster_than_they_need_to() {
    if !is_inside() {
        return SoundLab::start().run("devices_turn_no_faster_than_they_need_to");
    }
    let names = ["pulseaudio:room", "pulseaudio:other"];
    let sinks = names.map(|name| device::open_speaker(&[name.into()]).expect("a speaker"));
    let microphone = vec!["pulseaudio:room.monitor".into()];
    let source = SourceChoice::Device(microphone).open().expect("a microphone");
    let told = pactl(&["list", "sinks"]);
    let configured: Vec<u32> = told
        .lines()
        .filter_map(|line| line.split_once("configured ")?.1.strip_suffix(" usec")?.parse().ok())
        .collect();
    assert_eq!(configured.len(), sinks.len(), "{told}");
    assert!(configured.iter().all(|us| *us >= 5_000), "{configured:?}");
    let streams = pactl(&["list", "short", "sink-inputs"]);
    let mut played_by: Vec<_> = streams.lines().map(|line| line.split('\t').nth(1)).collect();
    played_by.dedup();
    assert_eq!(played_by.len(), sinks.len(), "{streams}");
    drop((sinks, source));
}

/// Plays a tone until the speaker has this name and the tone is heard behind it.
fn play_until(sink: &mut dyn AudioSink, name: &str, monitor: &str) {
    let source = SourceChoice::Device(vec![monitor.into()]);
    let mut source: Box<dyn AudioSource> = source.open().expect("a microphone");
    let step = 450.0 * std::f32::consts::TAU / SAMPLE_RATE as f32;
    let start = Instant::now();
    let mut heard = 0;
    for tick in 0..1500u32 {
        let at = |index: usize| tick as f32 * FRAME_SAMPLES as f32 + index as f32;
        let tone: Frame = std::array::from_fn(|index| (at(index) * step).sin() * 0.3);
        sink.write(&tone);
        assert_eq!(sink.take_fault(), None, "there is another device all the time");
        let mut frame = SILENCE;
        source.read(&mut frame);
        let (share, power) = tone_share(&frame, 450.0);
        heard += u32::from(sink.name() == name && share > 0.8 && power > 0.01);
        if heard >= 10 {
            return;
        }
        let next = start + Duration::from_millis(20) * (tick + 1);
        sleep(next.saturating_duration_since(Instant::now()));
    }
    panic!("{name} is not heard at {monitor}; it plays on {}", sink.name());
}

fn pactl(arguments: &[&str]) -> String {
    let output = Command::new("pactl").args(arguments).output().expect("pactl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Plugged in during a call the wished device is used, pulled out the system's choice goes on, and
/// nothing has to be started again.
#[test]
fn a_headset_comes_and_goes_in_a_call() {
    if !is_inside() {
        return SoundLab::start().run("a_headset_comes_and_goes_in_a_call");
    }
    let room = device::speakers().expect("a list")[0].name.clone();
    let mut sink = device::open_speaker(&["Headset".into()]).expect("the system's choice");
    play_until(sink.as_mut(), &room, "pulseaudio:room.monitor");
    let properties = "sink_properties=device.description=Headset";
    let module = pactl(&["load-module", "module-null-sink", "sink_name=headset", properties]);
    play_until(sink.as_mut(), "Headset", "pulseaudio:headset.monitor");
    pactl(&["unload-module", &module]);
    play_until(sink.as_mut(), &room, "pulseaudio:room.monitor");
}

/// A device that goes away in a call is told once.
#[test]
fn a_lost_device_is_told() {
    if !is_inside() {
        return SoundLab::start().run("a_lost_device_is_told");
    }
    let mut sink = device::open_speaker(&[]).expect("a speaker");
    assert_eq!(sink.take_fault(), None);
    let status = Command::new("pactl").args(["exit"]).status();
    assert!(status.expect("pactl is installed").success());
    let deadline = Instant::now() + Duration::from_secs(20);
    let fault = loop {
        sink.write(&SILENCE);
        if let Some(fault) = sink.take_fault() {
            break fault;
        }
        assert!(Instant::now() < deadline, "nobody noticed");
        sleep(Duration::from_millis(20));
    };
    assert!(matches!(fault, SoundError::Lost { kind: DeviceKind::Speaker, .. }), "{fault:?}");
    assert_eq!(sink.take_fault(), None);
}
