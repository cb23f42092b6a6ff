//! baresip, another phone, which speaks as Bob does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{PATIENCE, SPEECH_BOB};

/// Another program that is a phone; it ends when this is dropped.
pub struct Baresip {
    child: Child,
    /// Where it is called.
    pub address: SocketAddr,
    folder: PathBuf,
}

impl Baresip {
    /// Starts it: it knows this codec alone, answers every call, speaks and records.
    pub fn start(
        mut command: Command,
        folder: &Path,
        address: SocketAddr,
        codec: &str,
        options: &[&str],
    ) -> Self {
        let folder = folder.join("baresip");
        std::fs::create_dir(&folder).expect("a folder");
        let config = format!(
            "sip_listen {address}\nmodule_path /usr/lib/baresip/modules\nmodule opus.so\n\
             module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\nsnd_path {}\n\
             module_tmp account.so\nmodule_app menu.so\naudio_source aufile,{SPEECH_BOB}\n\
             audio_player aubridge,speaker\naudio_alert aufile,/dev/null\nausrc_srate 16000\n\
             auplay_srate 48000\nausrc_channels 1\nauplay_channels 1\nausrc_format s16\n\
             auplay_format s16\nauenc_format s16\naudec_format s16\naudio_buffer 20-160\n\
             rtcp_mux no\nopus_stereo no\nopus_sprop_stereo no\ncall_max_calls 4\n",
            folder.display()
        );
        let account =
            format!("<sip:bob@lab.example>;regint=0;answermode=auto;audio_codecs={codec}\n");
        std::fs::write(folder.join("config"), config).expect("written");
        std::fs::write(folder.join("accounts"), account).expect("written");
        std::fs::write(folder.join("contacts"), "").expect("written");
        let log = folder.join("log");
        let output = std::fs::File::create(&log).expect("written");
        let child = command
            .arg("-f")
            .arg(&folder)
            .args(options)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("baresip starts: Debian's package is baresip-core");
        let baresip = Self { child, address, folder };
        baresip.wait_until_ready();
        baresip
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait_until_ready(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains("baresip is ready") {
            assert!(Instant::now() < until, "{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has heard.
    pub fn heard(mut self) -> PathBuf {
        let id = self.child.id().to_string();
        // It writes the end of the recording when it is told to go.
        let _ = Command::new("kill").args(["-INT", &id]).status();
        self.child.wait().expect("it ends");
        let files = std::fs::read_dir(&self.folder).expect("a folder").flatten();
        let mut files = files.map(|file| file.path());
        let heard = files.find(|path| path.to_string_lossy().ends_with("-dec.wav"));
        heard.expect("a recording")
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
