//! From a name to the devices behind it, through the names that calls are forwarded to
//! (RFC 7904 §4.2).

use std::collections::{BTreeMap, VecDeque};

use super::aor::Aor;
use super::limits;
use super::preferences::wants_sips;
use super::sip_registration::{Contact, Route};
use super::way::{Overlays, Way};
use crate::message::{APPLICATION_SIP, APPLICATION_SIPS, Destination};

/// A device to connect to. Its overlay is given by its index in [`Overlays`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The overlay that it is in.
    pub overlay: usize,
    /// Whose device it is, as its certificate has to prove.
    pub aor: Aor,
    /// How to reach it; never empty.
    pub destinations: Vec<Destination>,
    /// The Application-ID to connect for: SIP, or SIPS if the device wants that alone.
    pub application: u16,
}

/// What a search has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Devices, each once.
    pub devices: Vec<Device>,
    /// Names and addresses outside of our overlays.
    pub elsewhere: Vec<String>,
    /// Whether somebody's calls are forwarded to a name that was looked up already.
    pub has_loop: bool,
    /// Whether something was left out because there is too much of it.
    pub is_cut: bool,
}

/// A search for the devices behind a name. Ask for what [`next`](Self::next) says and tell it by
/// [`found`](Self::found), until there is nothing more to ask.
#[derive(Clone, Debug)]
pub struct Resolution {
    overlays: Overlays,
    to_ask: VecDeque<(usize, Aor)>,
    /// Every name that was met, and through how many others.
    met: BTreeMap<Aor, usize>,
    resolved: Resolved,
}

impl Resolution {
    /// A search that begins with a way of these overlays.
    pub fn new(overlays: Overlays, way: Way) -> Self {
        let resolved = Resolved::default();
        let (to_ask, met) = (VecDeque::new(), BTreeMap::new());
        let mut search = Self { overlays, to_ask, met, resolved };
        search.go(way, 0);
        search
    }

    /// The overlay and the name whose registrations are to be fetched next.
    #[expect(clippy::should_implement_trait, reason = "what is next depends on what was found")]
    pub fn next(&mut self) -> Option<(usize, Aor)> {
        self.to_ask.pop_front()
    }

    /// What is registered under a name that was to be asked for.
    pub fn found(&mut self, overlay: usize, aor: &Aor, contacts: Vec<Contact>) {
        let through = self.met.get(aor).copied().unwrap_or_default();
        self.resolved.is_cut |= contacts.len() > limits::CONTACTS_MAX;
        for contact in contacts.into_iter().take(limits::CONTACTS_MAX) {
            match contact.route {
                Route::Destinations { destinations, contact_prefs } => {
                    self.add(overlay, aor.clone(), destinations, &contact_prefs);
                }
                Route::Uri(uri) => {
                    let way = self.overlays.way(&uri).unwrap_or(Way::Elsewhere(uri));
                    self.go(way, through + 1);
                }
            }
        }
    }

    /// What was found so far.
    pub fn finish(self) -> Resolved {
        self.resolved
    }

    fn go(&mut self, way: Way, through: usize) {
        match way {
            Way::Device(overlay, gruu) => self.add(overlay, gruu.aor, gruu.destinations, &[]),
            Way::LookUp(_, aor) if self.met.contains_key(&aor) => self.resolved.has_loop = true,
            Way::LookUp(..)
                if through > limits::FORWARDS_MAX || self.met.len() >= limits::NAMES_MAX =>
            {
                self.resolved.is_cut = true;
            }
            Way::LookUp(overlay, aor) => {
                self.met.insert(aor.clone(), through);
                self.to_ask.push_back((overlay, aor));
            }
            Way::Elsewhere(uri) if self.resolved.elsewhere.contains(&uri) => {}
            Way::Elsewhere(_) if self.resolved.elsewhere.len() >= limits::NAMES_MAX => {
                self.resolved.is_cut = true;
            }
            Way::Elsewhere(uri) => self.resolved.elsewhere.push(uri),
        }
    }

    fn add(&mut self, overlay: usize, aor: Aor, destinations: Vec<Destination>, prefs: &[u8]) {
        let devices = &mut self.resolved.devices;
        if devices.iter().any(|d| d.overlay == overlay && d.destinations == destinations) {
            return;
        }
        if devices.len() >= limits::DEVICES_MAX {
            self.resolved.is_cut = true;
            return;
        }
        let application = if wants_sips(prefs) { APPLICATION_SIPS } else { APPLICATION_SIP };
        devices.push(Device { overlay, aor, destinations, application });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::NodeId;
    use crate::config::{OverlayConfig, SignedConfig};
    use crate::usage::{Gruu, parse_aor};

    fn aor(name: &str) -> Aor {
        parse_aor(name, "one.example").expect("a name")
    }

    fn to(node: u128) -> Contact {
        let node = NodeId::from_u128(node);
        let route =
            Route::Destinations { destinations: vec![node.into()], contact_prefs: Vec::new() };
        Contact { device: node, route }
    }

    fn forward(uri: impl Into<String>) -> Contact {
        Contact { device: NodeId::from_u128(1), route: Route::Uri(uri.into()) }
    }

    /// Looks a name up among registrations; whom it asked, and what came out.
    fn resolve(name: &str, registered: &[(&str, Vec<Contact>)]) -> (Vec<String>, Resolved) {
        let documents = ["one.example", "two.example"].map(|name| {
            let config = OverlayConfig::self_signed(name).expect("a name");
            Arc::new(SignedConfig::unsigned(&config).expect("a document"))
        });
        let overlays = Overlays::new(documents.to_vec());
        let way = overlays.way(name).expect("a way");
        let mut search = Resolution::new(overlays, way);
        let mut asked = Vec::new();
        while let Some((overlay, name)) = search.next() {
            asked.push(name.to_string());
            let found = registered.iter().find(|(of, _)| aor(of) == name);
            search.found(overlay, &name, found.map_or_else(Vec::new, |(_, c)| c.clone()));
        }
        (asked, search.finish())
    }

    fn nodes(resolved: &Resolved) -> Vec<u128> {
        let node = |d: &Device| d.destinations[0].node().expect("a node").to_u128();
        resolved.devices.iter().map(node).collect()
    }

    /// R7904-4.2-01: from alice to bob to carol, also in another overlay; each device once, however
    /// many ways lead to it.
    #[test]
    fn forwarded_names_are_looked_up_in_turn() {
        let carol = parse_aor("carol@two.example", "").expect("a name");
        let gruu = Gruu::of_node(aor("dave"), NodeId::from_u128(9)).to_string();
        let (asked, resolved) = resolve(
            "alice",
            &[
                ("alice", vec![to(1), forward("bob@one.example"), forward("sip:bob@one.example")]),
                ("bob", vec![to(2), forward("carol@two.example"), to(1), forward(gruu)]),
                ("carol@two.example", vec![to(3), to(2)]),
            ],
        );
        assert_eq!(asked, ["alice@one.example", "bob@one.example", "carol@two.example"]);
        assert_eq!(nodes(&resolved), [1, 2, 9, 3, 2], "2 is another node in the other overlay");
        let owners: Vec<_> = resolved.devices.iter().map(|d| d.aor.to_string()).collect();
        assert_eq!(owners[..3], ["alice@one.example", "bob@one.example", "dave@one.example"]);
        assert_eq!(resolved.devices[3].overlay, 1);
        assert_eq!(resolved.devices[3].aor, carol);
        assert!(!resolved.is_cut && resolved.elsewhere.is_empty());
    }

    /// R7904-4.2-01: who is forwarded in a circle is asked once, and a chain ends somewhere.
    #[test]
    fn circles_and_long_chains_end() {
        let (asked, resolved) = resolve(
            "alice",
            &[
                ("alice", vec![forward("bob@one.example")]),
                ("bob", vec![forward("alice@one.example")]),
            ],
        );
        assert_eq!(asked.len(), 2);
        assert!(resolved.has_loop && resolved.devices.is_empty() && !resolved.is_cut);
        let users: Vec<_> = (0..20).map(|n| format!("u{n}")).collect();
        let chain: Vec<_> = (0..19)
            .map(|n| (users[n].as_str(), vec![forward(format!("u{}@one.example", n + 1))]))
            .collect();
        let (asked, resolved) = resolve("u0", &chain);
        assert_eq!(asked.len(), limits::FORWARDS_MAX + 1);
        assert!(resolved.is_cut && !resolved.has_loop);
    }

    /// R7904-8.2.1-01: whoever registers 200 devices, or 200 names, makes nobody call them all.
    #[test]
    fn nobody_rings_half_the_overlay() {
        let (_, resolved) = resolve("alice", &[("alice", (1..=200).map(to).collect())]);
        assert_eq!(resolved.devices.len(), limits::DEVICES_MAX);
        assert!(resolved.is_cut);
        let names = (0..200).map(|n| forward(format!("u{n}@one.example"))).collect();
        let (asked, resolved) = resolve("alice", &[("alice", names)]);
        assert_eq!(asked.len(), limits::NAMES_MAX);
        assert!(resolved.is_cut);
    }

    /// R7904-6-02: a device's address is not looked up.
    #[test]
    fn a_device_is_called_without_a_look_up() {
        let gruu = Gruu::of_node(aor("bob"), NodeId::from_u128(7));
        let (asked, resolved) = resolve(&gruu.to_string(), &[("bob", vec![to(8)])]);
        assert_eq!((asked.len(), nodes(&resolved)), (0, vec![7]));
    }

    /// What leads out of our overlays is not fetched but handed out, once; so is what is no name.
    #[test]
    fn names_elsewhere_are_handed_out() {
        let pstn = "sip:bob@pstn.example";
        let contacts = vec![forward(pstn), forward("tel:+4930123456"), forward(pstn), to(4)];
        let (asked, resolved) = resolve("alice", &[("alice", contacts)]);
        assert_eq!((asked.len(), nodes(&resolved)), (1, vec![4]));
        assert_eq!(resolved.elsewhere, [pstn, "tel:+4930123456"]);
    }

    /// R7904-5.1-06: a device that wants SIPS is connected to for that.
    #[test]
    fn a_device_that_wants_sips_gets_it() {
        let mut contact = to(1);
        if let Route::Destinations { contact_prefs, .. } = &mut contact.route {
            *contact_prefs = crate::usage::SIPS_ONLY.to_vec();
        }
        let (_, resolved) = resolve("alice", &[("alice", vec![contact, to(2)])]);
        let applications: Vec<_> = resolved.devices.iter().map(|d| d.application).collect();
        assert_eq!(applications, [5061, 5060]);
    }
}
