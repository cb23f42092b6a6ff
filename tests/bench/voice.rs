//! How late and how well a voice arrives, and what that costs, beside baresip in the same run.
//!
//! `cargo bench --bench voice` starts a PulseAudio of its own without hardware. Its one sink has a
//! channel for the mouth and one for the ear of each of two people, so that a recording of it has
//! all of them on one clock. Speech goes into one mouth; how much later it is in the other ear is
//! measured for nothing but the sound system, for two baresips and for two Chordials without and
//! with voice processing, in turn and several times. The ratios count, not the figures: those are
//! of a machine and its load. Needs `baresip`, `pulseaudio`, `pulseaudio-utils` and
//! `libasound2-plugins`.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use chordial::media::{SAMPLE_RATE, compare};
use support::{OVERLAY, Phone, SPEECH_ALICE};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is measured. baresip takes no echo and no noise out of a microphone's sound.
const NAMES: [&str; 4] =
    ["sound system alone", "baresip", "Chordial without voice processing", "Chordial"];
/// Rounds of all of them.
const ROUNDS: usize = 3;
/// Seconds of sound in each.
const SECONDS: u64 = 7;
/// Until a call's buffers have settled; something is said meanwhile, as in a call.
const SETTLE: Duration = Duration::from_secs(8);
/// What is asked of the sound system; less breaks up on a machine that has other things to do.
const PULSE_LATENCY_MS: &str = "40";
/// Speech that is not found again was not heard.
const FOUND_FROM: f32 = 0.6;

fn main() -> Outcome<()> {
    let lab = Lab::start()?;
    let mut figures: [Vec<Figure>; 4] = Default::default();
    for round in 1..=ROUNDS {
        println!("round {round}");
        for (of, name) in NAMES.into_iter().enumerate() {
            let measured = match of {
                0 => lab.alone()?,
                1 => lab.baresip()?,
                _ => lab.chordial(of == 3)?,
            };
            println!("  {name}: {measured}");
            figures[of].push(measured);
        }
    }
    let figures = figures.map(|figures| Figure::middle(&figures));
    println!("\nmedians");
    for (name, figure) in NAMES.into_iter().zip(&figures) {
        println!("  {name}: {figure}");
    }
    let [alone, baresip, ..] = figures;
    let beyond = |figure: &Figure| (figure.late_ms - alone.late_ms).max(1.0);
    for (name, chordial) in NAMES.into_iter().zip(&figures).skip(2) {
        println!(
            "{name} against baresip: mouth to ear {:.2}, without the sound system {:.2}; CPU {:.2}",
            chordial.late_ms / baresip.late_ms,
            beyond(chordial) / beyond(&baresip),
            chordial.cpu_s_per_min / baresip.cpu_s_per_min,
        );
    }
    Ok(())
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
struct Figure {
    late_ms: f64,
    /// How well the speech was found in the ear.
    fit: f32,
    /// Of the side that hears.
    cpu_s_per_min: f64,
}

impl Figure {
    /// The median of each figure.
    fn middle(all: &[Self]) -> Self {
        let middle = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = all.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            late_ms: middle(|f| f.late_ms),
            fit: middle(|f| f.fit.into()) as f32,
            cpu_s_per_min: middle(|f| f.cpu_s_per_min),
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { late_ms, fit, cpu_s_per_min } = self;
        write!(f, "{late_ms:.0} ms, fit {fit:.2}, {cpu_s_per_min:.2} s CPU a minute")
    }
}

/// A sound system without hardware; it ends with this.
struct Lab {
    daemon: Child,
    folder: tempfile::TempDir,
}

/// A process that ends with this.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Lab {
    fn start() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["run", "state"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let mut script = format!(
            "load-module module-native-protocol-unix auth-anonymous=1 socket={}\n\
             load-module module-null-sink sink_name=world rate=48000 channels=4 \
             channel_map=front-left,front-right,rear-left,rear-right\n",
            folder.path().join("native").display()
        );
        for (who, mouth, ear) in
            [("a", "front-left", "rear-left"), ("b", "front-right", "rear-right")]
        {
            let remap = "channels=1 channel_map=mono remix=no";
            script.push_str(&format!(
                "load-module module-remap-sink sink_name=mouth_{who} master=world {remap} \
                 master_channel_map={mouth}\n\
                 load-module module-remap-sink sink_name=spk_{who} master=world {remap} \
                 master_channel_map={ear} sink_properties=device.description=spk_{who}\n\
                 load-module module-remap-source source_name=mic_{who} master=world.monitor \
                 {remap} master_channel_map={mouth} \
                 source_properties=device.description=mic_{who}\n"
            ));
        }
        fs::write(folder.path().join("lab.pa"), script)?;
        let plugins = "pcm.!default { type pulse }\nctl.!default { type pulse }\n";
        fs::write(folder.path().join("asoundrc"), plugins)?;
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "-F"]);
        command.arg(folder.path().join("lab.pa"));
        let daemon = quiet(inside(&mut command, folder.path(), "a")).spawn()?;
        let lab = Self { daemon, folder };
        let until = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(lab.folder.path().join("native")).is_err() {
            if Instant::now() > until {
                return Err("pulseaudio does not answer".into());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(lab)
    }

    fn command(&self, program: &str, who: &str) -> Command {
        let mut command = Command::new(program);
        inside(&mut command, self.folder.path(), who);
        command
    }

    /// From a microphone to a speaker, without any phone.
    fn alone(&self) -> Outcome<Figure> {
        let latency = format!("--latency-msec={PULSE_LATENCY_MS}");
        let raw = ["--raw", "--rate=48000", "--channels=1", "--format=s16le", latency.as_str()];
        let mut hears = self.command("parec", "a");
        hears.args(raw).arg("--device=mic_a").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut hears = hears.spawn()?;
        let sound = hears.stdout.take().ok_or("no pipe")?;
        let _hears = Guarded(hears);
        let mut speaks = self.command("pacat", "b");
        speaks.args(raw).arg("--device=spk_b").stdin(sound).stderr(Stdio::null());
        let _speaks = Guarded(speaks.spawn()?);
        self.measure(|| 0.0)
    }

    /// Two baresips, with the settings that gave it the best figures.
    fn baresip(&self) -> Outcome<Figure> {
        let callee = self.start_baresip("b", 5070)?;
        let _caller = self.start_baresip("a", 5060)?;
        control(4461, "dial", "sip:b@127.0.0.1:5070")?;
        let pid = callee.0.id();
        self.measure(|| support::cpu_s(pid))
    }

    fn start_baresip(&self, who: &str, port: u16) -> Outcome<Guarded> {
        let folder = self.folder.path().join(format!("baresip-{who}"));
        fs::create_dir_all(&folder)?;
        let mode = if who == "b" { "auto" } else { "manual" };
        let account = format!(
            "<sip:{who}@127.0.0.1:{port}>;regint=0;answermode={mode};audio_codecs=opus/48000/1;\
             ptime=20;audio_source=alsa,default;audio_player=alsa,default\n"
        );
        fs::write(folder.join("accounts"), account)?;
        fs::write(folder.join("contacts"), "")?;
        let (modules, control) = (modules().ok_or("no modules of baresip")?, control_port(port));
        let config = format!(
            "sip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\nmodule_path {}\n\
             ctrl_tcp_listen 127.0.0.1:{control}\n{BARESIP}",
            modules.display()
        );
        fs::write(folder.join("config"), config)?;
        let mut command = self.command("baresip", who);
        let child = quiet(command.arg("-4").arg("-f").arg(&folder)).spawn()?;
        let guarded = Guarded(child);
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", control)).is_err() {
            if Instant::now() > until {
                return Err("baresip does not start".into());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(guarded)
    }

    /// Two Chordials, as they come, or without voice processing.
    fn chordial(&self, is_processed: bool) -> Outcome<Figure> {
        let folder = tempfile::tempdir()?;
        let document = folder.path().join("overlay.xml");
        let mut made = support::program();
        made.args(["overlay", "new", OVERLAY, "--out"]).arg(&document);
        assert!(made.output()?.status.success());
        let start = |who: &str, arguments: &[&str]| -> Outcome<Phone> {
            let state = folder.path().join(who);
            fs::create_dir_all(&state)?;
            let settings = format!(
                "microphones = [\"mic_{who}\"]\nspeakers = [\"spk_{who}\"]\n\
                 voice_processing = {is_processed}\n"
            );
            fs::write(state.join("settings.toml"), settings)?;
            let mut command = self.command(env!("CARGO_BIN_EXE_chordial"), who);
            command.args(arguments).args(["--json", "--user", who, "--listen", "127.0.0.1:0"]);
            command.arg("--overlay").arg(&document).arg("--state").arg(&state);
            Ok(Phone::start(&mut command, who))
        };
        let mut callee = start("b", &["peer", "--answer", "--first"])?;
        let joined = callee.wait("joined");
        let at = joined["listen"].as_str().ok_or("no address")?.to_owned();
        callee.wait("registered");
        let seconds = (SETTLE.as_secs() + SECONDS + 5).to_string();
        let call = ["call", "b", "--seconds", &seconds, "--bootstrap", &at];
        let mut caller = start("a", &call)?;
        caller.wait("answered");
        let pid = callee.pid();
        let figure = self.measure(|| support::cpu_s(pid));
        caller.interrupt();
        figure
    }

    /// Speaks into one mouth.
    fn say(&self) -> Command {
        let mut say = self.command("paplay", "a");
        say.args(["--device=mouth_a", "--latency-msec=20", SPEECH_ALICE]);
        say
    }

    /// Speaks into one mouth and looks for it in the other ear.
    fn measure(&self, cpu_s: impl Fn() -> f64) -> Outcome<Figure> {
        let spoken = Instant::now();
        let said = quiet(&mut self.say()).status()?;
        assert!(said.success(), "nothing was said");
        sleep(SETTLE.saturating_sub(spoken.elapsed()));
        let (cpu_before, started) = (cpu_s(), Instant::now());
        let mut record = self.command("parec", "a");
        record.args(["--raw", "--device=world.monitor", "--rate=48000", "--format=s16le"]);
        record.args(["--channels=4", "--no-remix", "--latency-msec=20"]);
        record.arg("--channel-map=front-left,front-right,rear-left,rear-right");
        let mut recorder = record.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut sound = recorder.stdout.take().ok_or("no pipe")?;
        let _recorder = Guarded(recorder);
        let mut say = self.say();
        let _say = Guarded(quiet(&mut say).spawn()?);
        let mut bytes = vec![0; SECONDS as usize * SAMPLE_RATE as usize * 4 * 2];
        sound.read_exact(&mut bytes)?;
        let took_min = started.elapsed().as_secs_f64() / 60.0;
        let cpu_s_per_min = (cpu_s() - cpu_before) / took_min;
        let channel = |number: usize| -> Vec<f32> {
            let frames = bytes.chunks_exact(8);
            let sample =
                |frame: &[u8]| i16::from_le_bytes([frame[2 * number], frame[2 * number + 1]]);
            frames.map(|frame| f32::from(sample(frame)) / 32_768.0).collect()
        };
        let (mouth, ear) = (channel(0), channel(3));
        // What is said in the last second may be heard after the end.
        let mouth = &mouth[..mouth.len() - SAMPLE_RATE as usize];
        let found = compare::correlation(mouth, &ear, SAMPLE_RATE as usize);
        if found.coefficient < FOUND_FROM {
            println!("  (hardly found: {:.2})", found.coefficient);
        }
        let late_ms = found.lag_samples as f64 / f64::from(SAMPLE_RATE) * 1000.0;
        Ok(Figure { late_ms, fit: found.coefficient, cpu_s_per_min })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// A command that uses the sound system of a lab, as one of two people.
fn inside<'a>(command: &'a mut Command, folder: &Path, who: &str) -> &'a mut Command {
    let plugins = format!("/usr/share/alsa/alsa.conf:{}", folder.join("asoundrc").display());
    command
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("PULSE_RUNTIME_PATH", folder.join("run"))
        .env("PULSE_STATE_PATH", folder.join("state"))
        .env("PULSE_SERVER", format!("unix:{}", folder.join("native").display()))
        .env("PULSE_SINK", format!("spk_{who}"))
        .env("PULSE_SOURCE", format!("mic_{who}"))
        .env("PULSE_LATENCY_MSEC", PULSE_LATENCY_MS)
        .env("ALSA_CONFIG_PATH", plugins)
}

/// Where Debian keeps the modules of baresip.
fn modules() -> Option<PathBuf> {
    ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_dir())
}

fn control_port(port: u16) -> u16 {
    port - 600 + 1
}

/// Tells a baresip to do something, by a netstring of JSON.
fn control(port: u16, command: &str, parameters: &str) -> Outcome<()> {
    let text = serde_json::json!({ "command": command, "params": parameters }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(format!("{}:{text},", text.len()).as_bytes())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // What happens meanwhile is told before the answer.
    let (mut said, mut piece) = (String::new(), [0; 512]);
    while !said.contains("\"ok\":") {
        let length = stream.read(&mut piece)?;
        if length == 0 {
            break;
        }
        said.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    match said.contains("\"ok\":true") {
        true => Ok(()),
        false => Err(format!("baresip: {said}").into()),
    }
}

const BARESIP: &str = "\
poll_method epoll
call_local_timeout 120
call_max_calls 4
audio_player alsa,default
audio_source alsa,default
audio_alert aufile,/dev/null
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 1
auplay_channels 1
audio_txmode poll
audio_level no
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtp_ports 10000-20000
jitter_buffer_type adaptive
jitter_buffer_delay 2-20
module opus.so
module alsa.so
module aufile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
opus_bitrate 32000
opus_cbr no
opus_stereo no
opus_sprop_stereo no
opus_inbandfec yes
opus_dtx no
opus_packet_loss 10
opus_complexity 10
opus_application voip
";
