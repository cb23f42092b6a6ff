//! Screens for tests, of which nobody sees anything.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// An X server without a screen.
pub struct Screen {
    server: Child,
    /// Its name in `DISPLAY`.
    pub display: String,
}

/// Two servers that look for a free display at the same time take the same one.
static CHOOSING: Mutex<()> = Mutex::new(());

impl Screen {
    /// Starts one on a display of its own.
    pub fn start() -> Self {
        let _alone = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("Xvfb");
        // It chooses a free display and writes its number. Without clients it would begin anew, and
        // whoever comes in that moment waits in vain.
        command.args(["-displayfd", "1", "-screen", "0", "2040x760x24", "-nolisten", "tcp"]);
        command.arg("-noreset");
        let mut server = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut number = String::new();
        let output = server.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut number).expect("the number of a display");
        assert!(!number.trim().is_empty(), "Xvfb has not started");
        Self { server, display: format!(":{}", number.trim()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Killed it would leave its socket behind, and the next to take the number its trouble.
        let pid = self.server.id().to_string();
        if !Command::new("kill").arg(pid).status().is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}
