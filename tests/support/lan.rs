//! Computers on one network: each is a network namespace with one wire to a switch. Making them
//! takes root.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A switch and the computers at it; all is gone when this is dropped.
pub struct Lan {
    name: String,
    hosts: Cell<u8>,
}

/// A computer. It has an address and a route to nowhere, no name server, and trusts nobody.
pub struct Host {
    namespace: String,
    address: String,
    roots: RefCell<Option<PathBuf>>,
}

impl Lan {
    /// A network of this name, which no other test has.
    pub fn new(name: &str) -> Self {
        remove_stale();
        let lan = Self { name: format!("ch{}{name}", std::process::id()), hosts: Cell::new(0) };
        namespace(&lan.switch());
        switch(&lan.switch(), "br0");
        lan
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    /// One more computer.
    pub fn host(&self) -> Host {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let host = format!("{}-{number}", self.name);
        let address = format!("10.77.0.{number}");
        namespace(&host);
        link(&host, "lo");
        wire(&host, "eth0", &self.switch(), "br0", &format!("p{number}"));
        ip(&["-n", &host, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        ip(&["-n", &host, "route", "add", "default", "via", "10.77.0.254"]);
        Host::new(host, address)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let hosts = (1..=self.hosts.get()).map(|number| format!("{}-{number}", self.name));
        for namespace in hosts.chain([self.switch()]) {
            delete(&namespace);
        }
    }
}

impl Host {
    /// The computer in a namespace.
    pub fn new(namespace: String, address: String) -> Self {
        let host = Self { namespace, address, roots: RefCell::default() };
        host.write_resolver("");
        host
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its network namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Takes a device out of it.
    pub fn pull(&self, device: &str) {
        ip(&["-n", &self.namespace, "link", "delete", device]);
    }

    /// Makes it ask this name server.
    pub fn use_dns(&self, server: &Host) {
        self.write_resolver(&format!("nameserver {}\n", server.address));
    }

    /// Makes it believe the web certificates of the authorities in a file, and of no other.
    pub fn trust(&self, roots: &Path) {
        self.roots.replace(Some(roots.to_path_buf()));
    }

    /// A program on this computer.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        if let Some(roots) = &*self.roots.borrow() {
            command.env("SSL_CERT_FILE", roots);
        }
        command
    }

    /// What `ip netns exec` shows programs there as `/etc/resolv.conf`.
    fn write_resolver(&self, text: &str) {
        let folder = settings(&self.namespace);
        std::fs::create_dir_all(&folder).expect("a folder of root's");
        std::fs::write(folder.join("resolv.conf"), text).expect("written");
    }
}

/// Takes away what tests have left that were killed: the processes in the names are gone.
fn remove_stale() {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    for line in listed.unwrap_or_default().lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let digits = name
            .strip_prefix("ch")
            .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        let process = digits.filter(|digits| !digits.is_empty());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            delete(name);
        }
    }
}

fn settings(namespace: &str) -> PathBuf {
    Path::new("/etc/netns").join(namespace)
}

/// Makes a network namespace.
pub fn namespace(name: &str) {
    let made = Command::new("ip").args(["netns", "add", name]).output();
    let made = made.expect("the program ip, of the package iproute2, is there");
    assert!(
        made.status.success(),
        "this test makes network namespaces, which takes root: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// Takes a namespace away with all that is in it.
pub fn delete(namespace: &str) {
    // Without the namespace there is nothing to take away.
    let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
    let _ = std::fs::remove_dir_all(settings(namespace));
}

/// Makes a switch.
pub fn switch(namespace: &str, name: &str) {
    ip(&["-n", namespace, "link", "add", name, "type", "bridge", "mcast_snooping", "0"]);
    link(namespace, name);
}

/// Takes a device into service.
pub fn link(namespace: &str, device: &str) {
    ip(&["-n", namespace, "link", "set", device, "up"]);
}

/// Wires a device of a namespace to a port of a switch.
pub fn wire(namespace: &str, device: &str, switches: &str, switch: &str, port: &str) {
    let wire = ["link", "add", device, "netns", namespace, "type", "veth"];
    ip(&[&wire[..], &["peer", "name", port, "netns", switches]].concat());
    ip(&["-n", switches, "link", "set", port, "master", switch, "up"]);
    link(namespace, device);
}

/// Changes a setting of the kernel in a namespace, such as `net/ipv4/ip_forward`.
pub fn setting(namespace: &str, name: &str, value: u8) {
    let line = format!("echo {value} >/proc/sys/{name}");
    ip(&["netns", "exec", namespace, "sh", "-c", &line]);
}

/// Runs `ip`.
pub fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("the program ip is there");
    assert!(done.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}
