//! From a name to secure connections with the devices behind it: Fetch, through the names that it
//! is forwarded to, then AppAttach to every device (RFC 7904 §4, §5).

use std::time::Duration;

use tokio::time::timeout;

use super::account::AccountId;
use super::signal::gather;
use crate::base::NodeId;
use crate::link::{AppFlow, IceAgent, IceOptions, IceRole, LinkError, Node, NodeError};
use crate::message::{Destination, KindId, Places};
use crate::peer::{Answer, Command, FetchSpec, RequestError};
use crate::sip::FlowId;
use crate::usage::{self, Aor, Device, Overlays, Resolution, Resolved, Way};

/// News from dialling.
pub(super) enum DialReport {
    /// The name itself was looked up.
    Found {
        /// Links that the Fetch crossed.
        hops: u32,
    },
    /// All names were looked up in the overlays of these memberships, or one sentence about what
    /// stood in the way.
    Resolved(Vec<AccountId>, Result<Resolved, String>),
    /// A device is reachable, and our candidates for media with it are known; or one sentence.
    Reached(Target, Result<(Connection, IceAgent), String>),
}

/// A device to be called.
#[derive(Clone, Debug)]
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
}

/// Looks a name up, and the names that its calls are forwarded to.
pub(super) async fn resolve(directory: Directory, way: Way, report: impl Fn(DialReport)) {
    let Directory { overlays, accounts, nodes } = directory;
    let mut search = Resolution::new(overlays, way);
    let mut is_first = true;
    while let Some((overlay, aor)) = search.next() {
        let Some(node) = nodes.get(overlay) else { continue };
        match look_up(node, &aor).await {
            Ok((contacts, hops)) => {
                if is_first {
                    report(DialReport::Found { hops });
                }
                search.found(overlay, &aor, contacts);
            }
            Err(sentence) if is_first => {
                return report(DialReport::Resolved(accounts, Err(sentence)));
            }
            // A name that calls are forwarded to is one among several ways.
            Err(_) => {}
        }
        is_first = false;
    }
    report(DialReport::Resolved(accounts, Ok(search.finish())));
}

async fn look_up(node: &Node, aor: &Aor) -> Result<(Vec<usage::Contact>, u32), String> {
    let spec = FetchSpec {
        resource: aor.resource(),
        kind: KindId::SIP_REGISTRATION,
        places: Places::Dictionary(Vec::new()),
    };
    match node.request(Command::Fetch(spec)).await {
        Ok(Answer::Fetched(fetched)) => {
            let values = fetched.values.iter();
            let values = values.map(|v| (&v.value, v.signer.as_ref(), v.signer_node_id));
            Ok((usage::contacts(aor, values), fetched.hops))
        }
        Ok(_) => Err(format!("{aor} could not be looked up.")),
        Err(error) => Err(format!("{aor} could not be looked up in the overlay: {error}.")),
    }
}

/// Connects to one device, unless that is done, and finds our candidates for media meanwhile.
pub(super) async fn reach(
    node: Node,
    device: Device,
    known: Option<FlowId>,
    credentials: (String, String),
    options: IceOptions,
) -> Result<(Connection, IceAgent), String> {
    let connecting = async {
        match known {
            Some(flow) => Ok(Connection::Known(flow)),
            None => connect(&node, &device).await.map(|flow| Connection::New(Box::new(flow))),
        }
    };
    let gathering = gather(IceRole::Controlling, credentials, &options);
    let (connection, agent) = tokio::join!(connecting, gathering);
    Ok((connection?, agent?))
}

async fn connect(node: &Node, device: &Device) -> Result<AppFlow, String> {
    let Device { aor, destinations, application, .. } = device;
    let flow = timeout(ATTACH_MAX, node.app_attach(destinations.clone(), *application))
        .await
        .map_err(|_| {
            let seconds = ATTACH_MAX.as_secs();
            format!("{aor} can't be reached: no connection within {seconds} s.")
        })?
        .map_err(|error| unreachable(aor, &error))?;
    let certificate = &flow.certificate;
    if certificate.user_name != aor.to_string() || !ends_at(device, &certificate.node_ids) {
        return Err(format!("{aor} can't be reached: another name answered in its place."));
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

/// A sentence that names the step.
fn unreachable(aor: &Aor, error: &NodeError) -> String {
    match error {
        NodeError::Request(RequestError::Timeout) => format!(
            "{aor} can't be reached: the device that is registered does not answer; \
             it may have been switched off."
        ),
        NodeError::Link(LinkError::NoPath) => format!(
            "{aor} can't be reached: the device answers through the overlay, \
             but no direct network path to it was found."
        ),
        NodeError::Request(error) => format!("{aor} can't be reached: {error}."),
        NodeError::Link(error) => format!("{aor} can't be reached: {error}."),
        NodeError::Ended => "The call was given up because the overlay was left.".to_owned(),
    }
}

// limits

/// Longest way from AppAttach to DTLS: five transmissions (15 s), ICE and handshake together.
const ATTACH_MAX: Duration = Duration::from_secs(25);
