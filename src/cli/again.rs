//! The program is started a second time with one folder: what it was started for goes to the first.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::phone::{Client, ControlError};

/// Brings the window of the program that runs with this folder to the front, with an address to
/// be called if one is given.
///
/// # Errors
/// One sentence; [`None`] if nobody answers there.
pub fn hand_over(folder: &Path, address: Option<&str>) -> Result<(), Option<String>> {
    let until = Instant::now() + START_MAX;
    loop {
        match Client::connect(folder) {
            // It may have just begun.
            Err(ControlError::NotRunning(_)) if Instant::now() < until => sleep(LOOK_AGAIN),
            Err(ControlError::NotRunning(_)) => return Err(None),
            Err(error) => return Err(Some(error.to_string())),
            Ok(mut first) => {
                let open = json!({ "open": address.unwrap_or_default() });
                return first.ask(open).map(|_| ()).map_err(|error| Some(error.to_string()));
            }
        }
    }
}

/// How long the first program may take from its folder to its window.
const START_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
