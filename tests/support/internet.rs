//! A small internet: computers with public addresses, and networks behind NATs of every kind
//! (RFC 4787). Making it takes root; nothing leaves it.
//!
//! All networks behind NATs have the same private addresses, as those of homes do. The public ones
//! are not among those for documentation: a router that has one of these opens no ports.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::lan::{Host, delete, ip, link, namespace, setting, switch, wire};

/// Computers with public addresses 203.0.112.0/24 and 2001:db8::/64, and routers among them; all
/// is gone when this is dropped.
pub struct Internet {
    name: String,
    ports: Cell<u8>,
    namespaces: RefCell<Vec<String>>,
    family: Family,
    _alone: MutexGuard<'static, ()>,
}

/// One at a time: the calls on one are not to be late because of those on another.
static ALONE: Mutex<()> = Mutex::new(());

/// Which addresses computers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone, behind NATs or not.
    V4,
    /// IPv6 alone: routers filter, but translate nothing.
    V6,
}

/// What a router does to UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nat {
    /// One outside port for each inside port; lets in what comes from anywhere.
    FullCone,
    /// The same; lets in what comes from addresses that something was sent to.
    AddressRestricted,
    /// The same; lets in what comes from ports that something was sent to.
    PortRestricted,
    /// Another outside port for each destination; lets in what comes from there.
    Symmetric,
    /// Lets no UDP through at all.
    UdpBlocked,
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FullCone => "full",
            Self::AddressRestricted => "addr",
            Self::PortRestricted => "cone",
            Self::Symmetric => "sym",
            Self::UdpBlocked => "blocked",
        })
    }
}

/// A router and the network behind it.
pub struct Home<'a> {
    internet: &'a Internet,
    router: String,
    /// Its place among the networks.
    number: u8,
    hosts: Cell<u8>,
}

impl Internet {
    /// An internet of this name, which no other test has.
    pub fn new(name: &str, family: Family) -> Self {
        let name = format!("ch{}{name}", std::process::id());
        let namespaces = RefCell::default();
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let internet = Self { name, ports: Cell::new(0), namespaces, family, _alone: alone };
        let switch_name = internet.switch();
        internet.namespace(&switch_name);
        switch(&switch_name, "br0");
        internet
    }

    fn switch(&self) -> String {
        format!("{}-public", self.name)
    }

    fn namespace(&self, name: &str) {
        namespace(name);
        self.namespaces.borrow_mut().push(name.to_owned());
        for of in ["default", "all"] {
            setting(name, &format!("net/ipv6/conf/{of}/accept_dad"), 0);
        }
        link(name, "lo");
    }

    /// One more computer with a public address.
    pub fn host(&self) -> Host {
        let number = self.next();
        let host = format!("{}-{number}", self.name);
        self.namespace(&host);
        self.attach(&host, "eth0", number);
        if self.family == Family::V6 {
            // Whatever is behind a router is reached through it.
            for home in (1..=HOMES_MAX).filter(|home| *home != number) {
                let (to, via) = (format!("2001:db8:{home:x}::/48"), public_v6(home));
                ip(&["-n", &host, "-6", "route", "add", &to, "via", &via]);
            }
        }
        Host::new(host, self.address(number))
    }

    /// A network behind a router of this kind, without computers.
    pub fn home(&self, nat: Nat) -> Home<'_> {
        let number = self.next();
        let router = format!("{}-{number}", self.name);
        self.namespace(&router);
        self.attach(&router, "wan", number);
        switch(&router, "lan");
        for forwarding in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            setting(&router, forwarding, 1);
        }
        let inside = match self.family {
            Family::V4 => "192.168.1.1/24".to_owned(),
            Family::V6 => format!("2001:db8:{number:x}::1/64"),
        };
        ip(&["-n", &router, "address", "add", &inside, "dev", "lan"]);
        if self.family == Family::V6 {
            for home in (1..=HOMES_MAX).filter(|home| *home != number) {
                let (to, via) = (format!("2001:db8:{home:x}::/48"), public_v6(home));
                ip(&["-n", &router, "-6", "route", "add", &to, "via", &via]);
            }
        }
        filter(&router, nat);
        Home { internet: self, router, number, hosts: Cell::new(1) }
    }

    fn next(&self) -> u8 {
        let number = self.ports.get() + 1;
        assert!(number <= HOMES_MAX, "the addresses are used up");
        self.ports.set(number);
        number
    }

    fn address(&self, number: u8) -> String {
        match self.family {
            Family::V4 => format!("203.0.112.{number}"),
            Family::V6 => public_v6(number),
        }
    }

    /// Wires a computer or a router to the public side.
    fn attach(&self, name: &str, device: &str, number: u8) {
        wire(name, device, &self.switch(), "br0", &format!("p{number}"));
        let length = if self.family == Family::V4 { 24 } else { 64 };
        let address = format!("{}/{length}", self.address(number));
        ip(&["-n", name, "address", "add", &address, "dev", device]);
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for name in self.namespaces.borrow().iter() {
            delete(name);
        }
    }
}

impl Home<'_> {
    /// One more computer on this network.
    pub fn host(&self) -> Host {
        let number = self.hosts.get() + 1;
        let host = format!("{}-{number}", self.router);
        self.internet.namespace(&host);
        let address = self.plug(&host, "eth0");
        Host::new(host, address)
    }

    /// The router's namespace.
    pub fn router(&self) -> &str {
        &self.router
    }

    /// Makes the router forget so soon what nothing passes through.
    pub fn forget_after(&self, seconds: u8) {
        for name in ["udp_timeout", "udp_timeout_stream"] {
            setting(&self.router, &format!("net/netfilter/nf_conntrack_{name}"), seconds);
        }
    }

    /// Plugs a computer from elsewhere in here, with a further device.
    pub fn take_in(&self, host: &Host, device: &str) {
        self.plug(host.namespace(), device);
    }

    /// Wires a device to this network and gives it an address and a way out.
    fn plug(&self, host: &str, device: &str) -> String {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        wire(host, device, &self.router, "lan", &format!("l{number}"));
        let (address, length, router) = match self.internet.family {
            Family::V4 => (format!("192.168.1.{number}"), 24, "192.168.1.1".to_owned()),
            Family::V6 => {
                let network = format!("2001:db8:{:x}:", self.number);
                (format!("{network}:{number}"), 64, format!("{network}:1"))
            }
        };
        ip(&["-n", host, "address", "add", &format!("{address}/{length}"), "dev", device]);
        ip(&["-n", host, "route", "add", "default", "via", &router]);
        address
    }
}

fn public_v6(number: u8) -> String {
    format!("2001:db8::{number:x}")
}

/// Gives a router its rules.
fn filter(router: &str, nat: Nat) {
    nft(router, &rules(nat));
}

/// Gives a router more rules.
pub fn nft(router: &str, rules: &str) {
    let mut nft = Command::new("ip")
        .args(["netns", "exec", router, "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program ip is there");
    let mut input = nft.stdin.take().expect("piped");
    input.write_all(rules.as_bytes()).expect("nft reads");
    drop(input);
    assert!(nft.wait().expect("nft ends").success(), "nft, of the package nftables, takes rules");
}

/// Linux keeps a port if it can, so that plain masquerading is endpoint-independent mapping. The
/// kinds that let in more remember each port's owner, and whom it has sent to.
///
/// What comes to the router itself unasked is dropped before an answer by ICMP could close the
/// way for what is on its way out.
fn rules(nat: Nat) -> String {
    let owner = "update @owners { udp sport : ip saddr }";
    let known = "update @known { ip daddr . udp sport }";
    let remember = format!("iifname lan oifname wan meta l4proto udp {owner}");
    let to_owner = "dnat to udp dport map @owners";
    let (forward, inward, outward) = match nat {
        Nat::PortRestricted => (String::new(), String::new(), "masquerade"),
        Nat::Symmetric => (String::new(), String::new(), "masquerade fully-random"),
        Nat::FullCone => {
            (remember, format!("iifname wan meta l4proto udp {to_owner}"), "masquerade")
        }
        Nat::AddressRestricted => (
            format!("{remember}\n iifname lan oifname wan meta l4proto udp {known}"),
            format!("iifname wan ip saddr . udp dport @known {to_owner}"),
            "masquerade",
        ),
        Nat::UdpBlocked => ("meta l4proto udp drop".to_owned(), String::new(), "masquerade"),
    };
    format!(
        "table ip nat {{
           map owners {{
             type inet_service : ipv4_addr; flags dynamic,timeout; timeout 60s; size 65535;
           }}
           set known {{
             type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 65535;
           }}
           chain remember {{ type filter hook forward priority -10; {forward}
           }}
           chain inward {{ type nat hook prerouting priority -100; {inward}
           }}
           chain outward {{
             type nat hook postrouting priority 100; oifname wan {outward}
           }}
         }}
         table inet wall {{
           chain to_router {{
             type filter hook input priority 0; policy accept;
             iifname wan ct state established,related accept
             iifname wan meta l4proto {{ icmp, ipv6-icmp }} accept
             iifname wan drop
           }}
           chain through {{
             type filter hook forward priority 0; policy drop;
             iifname lan accept
             ct state established,related accept
             ct status dnat accept
           }}
         }}\n"
    )
}

/// Computers with public addresses and routers, together.
const HOMES_MAX: u8 = 32;
