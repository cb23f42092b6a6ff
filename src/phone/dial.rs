//! From a name to secure connections with the devices behind it: Fetch, through the names that it
//! is forwarded to, then AppAttach to every device (RFC 7904 §4, §5).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::account::AccountId;
use super::failure::Failure;
use crate::base::NodeId;
use crate::link::{AppFlow, DtlsError, IceAgent, IceRole, LinkError, Node, NodeError};
use crate::message::{Destination, KindId, Places};
use crate::peer::{Answer, Command, FetchSpec, Fetched, RequestError};
use crate::sip::FlowId;
use crate::usage::{self, Aor, Device, Overlays, Resolution, Resolved, Way};

/// News from dialling.
pub(super) enum DialReport {
    /// The name itself was looked up.
    Found {
        /// Links that the Fetch crossed.
        hops: u32,
    },
    /// All names were looked up in the overlays of these memberships, or what stood in the way.
    Resolved(Vec<AccountId>, Result<Resolved, Failure>),
    /// A device is reachable, and our candidates for media with it are known; or what stood in
    /// the way.
    Reached(Target, Box<Result<(Connection, IceAgent), Failure>>),
    /// It is a while since a device was called on a connection that was there before.
    Unheard(Target, FlowId),
    /// The time is up in which something has to ring.
    TimeUp,
}

/// A device to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The membership in whose overlay it is.
    pub(super) account: AccountId,
    pub(super) device: Device,
}

/// A connection that SIP can run on.
pub(super) enum Connection {
    /// One that was there before (RFC 7904 §5.1).
    Known(FlowId),
    New(Box<AppFlow>),
}

/// Where names are looked up: overlays, and our node in each.
pub(super) struct Directory {
    pub(super) overlays: Overlays,
    pub(super) accounts: Vec<AccountId>,
    pub(super) nodes: Vec<Node>,
    /// Names that certificates write otherwise.
    pub(super) written: BTreeMap<Aor, Aor>,
}

impl Directory {
    fn spellings(&self, aor: &Aor) -> Vec<Aor> {
        [Some(aor), self.written.get(aor)].into_iter().flatten().cloned().collect()
    }
}

/// Looks a name up, and the names that its calls are forwarded to.
pub(super) async fn resolve(
    directory: Directory,
    way: Way,
    until: Instant,
    report: impl Fn(DialReport),
) {
    let mut search = Resolution::new(directory.overlays.clone(), way);
    let mut is_first = true;
    while let Some((overlay, aor)) = search.next() {
        let Some(node) = directory.nodes.get(overlay) else { continue };
        let looked_up = timeout_at(until, look_up(node, &directory.spellings(&aor))).await;
        match looked_up.unwrap_or(Err(RequestError::Timeout.into())) {
            Ok((contacts, hops)) => {
                if is_first {
                    report(DialReport::Found { hops });
                }
                search.found(overlay, &aor, contacts);
            }
            Err(error) if is_first => {
                let failure = Err(Failure::LookUp(error));
                return report(DialReport::Resolved(directory.accounts, failure));
            }
            // A name that calls are forwarded to is one among several ways.
            Err(_) => {}
        }
        is_first = false;
    }
    report(DialReport::Resolved(directory.accounts, Ok(search.finish())));
}

/// What is registered under a name, in the first of these spellings that is, and how many links
/// the question crossed.
pub(super) async fn look_up(
    node: &Node,
    spellings: &[Aor],
) -> Result<(Vec<usage::Contact>, u32), NodeError> {
    let (contacts, fetched) = found(node, spellings).await?;
    Ok((contacts, fetched.hops))
}

/// The devices that are registered under a name, and when each has said so last, milliseconds
/// since the Unix epoch.
pub(super) async fn look_up_dated(
    node: &Node,
    spellings: &[Aor],
) -> Result<Vec<(NodeId, u64)>, NodeError> {
    let (contacts, fetched) = found(node, spellings).await?;
    let stored = |device| {
        let of_device = fetched.values.iter().filter(|v| v.signer_node_id == device);
        of_device.map(|value| value.storage_time_ms).max().unwrap_or_default()
    };
    let contacts = contacts.into_iter();
    Ok(contacts.map(|contact| (contact.device, stored(contact.device))).collect())
}

async fn found(
    node: &Node,
    spellings: &[Aor],
) -> Result<(Vec<usage::Contact>, Fetched), NodeError> {
    let mut last = Err(NodeError::Ended);
    for aor in spellings {
        let fetched = fetch(node, aor).await?;
        let contacts = contacts(aor, &fetched);
        let is_found = !contacts.is_empty();
        last = Ok((contacts, fetched));
        if is_found {
            break;
        }
    }
    last
}

async fn fetch(node: &Node, aor: &Aor) -> Result<Fetched, NodeError> {
    let spec = FetchSpec {
        resource: aor.resource(),
        kind: KindId::SIP_REGISTRATION,
        places: Places::Dictionary(Vec::new()),
    };
    match node.request(Command::Fetch(spec)).await? {
        Answer::Fetched(fetched) => Ok(fetched),
        _ => Err(NodeError::Ended),
    }
}

fn contacts(aor: &Aor, fetched: &Fetched) -> Vec<usage::Contact> {
    let values = fetched.values.iter();
    usage::contacts(aor, values.map(|v| (&v.value, v.signer.as_ref(), v.signer_node_id)))
}

/// Connects to one device, unless that is done, and finds our candidates for media meanwhile.
pub(super) async fn reach(
    node: Node,
    device: Device,
    known: Option<FlowId>,
    until: Instant,
) -> Result<(Connection, IceAgent), Failure> {
    let connecting = async {
        match known {
            Some(flow) => Ok(Connection::Known(flow)),
            None => {
                let flow = connect(&node, &device, until).await?;
                Ok(Connection::New(Box::new(flow)))
            }
        }
    };
    let gathering = node.agents().take(IceRole::Controlling);
    let (connection, agent) = tokio::join!(connecting, gathering);
    Ok((connection?, agent.map_err(|error| Failure::Asking(error.into()))?))
}

pub(super) async fn connect(
    node: &Node,
    device: &Device,
    until: Instant,
) -> Result<AppFlow, Failure> {
    let Device { aor, destinations, application, .. } = device;
    let asked = timeout_at(until, node.app_attach(destinations.clone(), *application)).await;
    let mut path = asked.unwrap_or(Err(RequestError::Timeout.into())).map_err(Failure::Asking)?;
    let up = timeout_at(until, path.up()).await.unwrap_or_else(|_| {
        Err(match path.is_securing() {
            true => LinkError::from(DtlsError::Timeout).into(),
            false => LinkError::NoPath.into(),
        })
    });
    let flow = up.map_err(|error| Failure::connecting(error, path.here, path.there))?;
    let certificate = &flow.certificate;
    if !aor.is_named(&certificate.user_name) || !ends_at(device, &certificate.node_ids) {
        return Err(Failure::Impostor);
    }
    Ok(flow)
}

/// Whether the node at the end of a device's destination list has one of these Node-IDs; a list
/// whose end hides its Node-ID leads to whoever it leads to (RFC 7904 §5.1, §6).
pub(super) fn ends_at(device: &Device, node_ids: &[NodeId]) -> bool {
    let end = device.destinations.last().and_then(Destination::node);
    end.is_none_or(|end| node_ids.contains(&end))
}

/// Why there is nobody to call.
pub(super) fn nobody(peer: &str, resolved: &Resolved) -> String {
    let Resolved { elsewhere, has_loop, is_cut, .. } = resolved;
    match &elsewhere[..] {
        [first, ..] => format!(
            "{peer} can't be reached: calls are forwarded to {first}, which is in none of your \
             overlays."
        ),
        [] if *has_loop => {
            format!("{peer} can't be reached: calls are forwarded in a circle.")
        }
        [] if *is_cut => {
            format!("{peer} can't be reached: calls are forwarded from name to name too often.")
        }
        [] => format!("{peer} was not found: nobody with this name is in the overlay now."),
    }
}

// limits

/// Longest way from a name to a phone that rings: room for three transmissions of a request
/// (RFC 6940 §6.2.1), or for two and the checks of ICE.
pub(super) const DIAL_MAX: Duration = Duration::from_secs(10);
/// Longest way from a name to sound, without the time in which a phone rings.
pub(super) const SET_UP_MAX: Duration = Duration::from_secs(15);
