//! The way in against real servers: DNS, HTTPS and TLS on loopback.

mod enrollment;
mod finding;
pub mod servers;

/// A moment in this test's time: every certificate here is made around the real one, which TLS
/// asks the system for.
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_millis() as u64
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
