//! A router that opens ports on request: miniupnpd, which most routers of homes run, between the
//! network of a home and the internet of a test.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::internet::{Home, nft};

/// How a router can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By UPnP alone.
    Upnp,
    /// By NAT-PMP alone: PCP goes unheard, as with routers that are older.
    NatPmp,
    /// By PCP, and by NAT-PMP, but not by UPnP.
    Pcp,
}

/// A router's program that opens ports; ends when this is dropped.
pub struct Opener {
    child: Child,
    router: String,
    _folder: tempfile::TempDir,
}

impl Opener {
    /// The router of a home opens ports for it from now on.
    pub fn start(home: &Home, asked: Asked) -> Self {
        let router = home.router().to_owned();
        nft(&router, CHAINS);
        if asked == Asked::NatPmp {
            nft(&router, DEAF_TO_PCP);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (file, pid) = (folder.path().join("conf"), folder.path().join("pid"));
        let yes = |is: bool| if is { "yes" } else { "no" };
        let (upnp, others) = (yes(asked == Asked::Upnp), yes(asked != Asked::Upnp));
        let text = format!(
            "ext_ifname=wan\nlistening_ip=lan\nenable_upnp={upnp}\nenable_natpmp={others}\n\
             secure_mode=yes\nupnp_table_name=agreed\nupnp_nat_table_name=agreed\n\
             uuid=6d4b5c8e-0000-4000-8000-000000000001\n\
             allow 1024-65535 192.168.1.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
        );
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &router, "miniupnpd", "-d", "-f"]).arg(&file);
        command.arg("-P").arg(&pid).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("the program ip is there");
        let mut opener = Self { child, router, _folder: folder };
        let until = Instant::now() + PATIENCE;
        while !pid.exists() {
            let status = opener.child.try_wait().expect("our child");
            assert!(status.is_none(), "miniupnpd, of miniupnpd-nftables: {status:?}");
            assert!(Instant::now() < until, "miniupnpd starts in time");
            std::thread::sleep(Duration::from_millis(20));
        }
        opener
    }

    /// Waits until it has as many ports open.
    pub fn wait_for(&self, ports: usize) {
        let until = Instant::now() + PATIENCE;
        while self.open() != ports {
            assert!(Instant::now() < until, "{} ports are open, not {ports}", self.open());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many ports are open.
    fn open(&self) -> usize {
        let mut list = Command::new("ip")
            .args(["netns", "exec", &self.router, "nft", "list", "table", "inet", "agreed"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program ip is there");
        let mut text = String::new();
        list.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        assert!(list.wait().expect("nft ends").success());
        text.lines().filter(|line| line.contains("dnat ip to")).count()
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where miniupnpd writes its rules.
const CHAINS: &str = "table inet agreed {
   chain forward { type filter hook forward priority 0; jump miniupnpd; }
   chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
   chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
   chain miniupnpd { }
   chain prerouting_miniupnpd { }
   chain postrouting_miniupnpd { }
 }\n";
/// The version is the first byte (RFC 6887 §7.1).
const DEAF_TO_PCP: &str = "table inet deaf {
   chain input { type filter hook input priority -10; udp dport 5351 @th,64,8 2 drop; }
 }\n";
