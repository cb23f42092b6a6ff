//! From a name to secure connections with the devices behind it: Fetch, then AppAttach to every
//! contact (RFC 7904 §4, §5).

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::signal::{gather, ice_credentials};
use crate::base::{NodeId, Rng};
use crate::link::{AppFlow, IceAgent, IceOptions, IceRole, LinkError, Node, NodeError};
use crate::message::{APPLICATION_SIP, KindId, Places};
use crate::peer::{Answer, Command, FetchSpec, RequestError};
use crate::usage::{self, Aor};

/// News from dialling.
pub(super) enum DialReport {
    /// The overlay knows the name.
    Found {
        /// Links that the Fetch crossed.
        hops: u32,
    },
    /// A device is reachable, and our candidates for media with it are known.
    Flow(Box<AppFlow>, IceAgent),
    /// A device could not be reached: one sentence.
    Unreachable(String),
    /// No more devices are tried; one sentence if the name itself was the problem.
    Finished(Option<String>),
}

/// Looks `aor` up and connects to each of its devices, all at once.
pub(super) async fn dial(
    node: Node,
    aor: Aor,
    options: IceOptions,
    mut rng: Rng,
    report: impl Fn(DialReport),
) {
    let contacts = match look_up(&node, &aor).await {
        Ok((contacts, hops)) if contacts.is_empty() => {
            report(DialReport::Found { hops });
            return report(DialReport::Finished(Some(format!(
                "{aor} was not found: nobody with this name is in the overlay now."
            ))));
        }
        Ok((contacts, hops)) => {
            report(DialReport::Found { hops });
            contacts
        }
        Err(sentence) => return report(DialReport::Finished(Some(sentence))),
    };
    let mut attempts = JoinSet::new();
    for contact in contacts.into_iter().take(CONTACTS_MAX) {
        let (node, aor, options) = (node.clone(), aor.clone(), options.clone());
        let credentials = ice_credentials(&mut rng);
        attempts.spawn(async move { attempt(&node, &aor, contact, credentials, &options).await });
    }
    while let Some(attempt) = attempts.join_next().await {
        report(match attempt {
            Ok(Ok((flow, agent))) => DialReport::Flow(Box::new(flow), agent),
            Ok(Err(sentence)) => DialReport::Unreachable(sentence),
            Err(_) => DialReport::Unreachable(format!("{aor} can't be reached.")),
        });
    }
    report(DialReport::Finished(None));
}

/// Connects to one device and finds our candidates for media at the same time.
async fn attempt(
    node: &Node,
    aor: &Aor,
    contact: NodeId,
    credentials: (String, String),
    options: &IceOptions,
) -> Result<(AppFlow, IceAgent), String> {
    let attach = timeout(ATTACH_MAX, node.app_attach(contact, APPLICATION_SIP));
    let (flow, agent) = tokio::join!(attach, gather(IceRole::Controlling, credentials, options));
    let flow = flow
        .map_err(|_| {
            let seconds = ATTACH_MAX.as_secs();
            format!("{aor} can't be reached: no connection within {seconds} s.")
        })?
        .map_err(|error| unreachable(aor, &error))?;
    if flow.certificate.user_name != aor.to_string() {
        return Err(format!("{aor} can't be reached: another name answered in its place."));
    }
    Ok((flow, agent?))
}

async fn look_up(node: &Node, aor: &Aor) -> Result<(Vec<NodeId>, u32), String> {
    let spec = FetchSpec {
        resource: aor.resource(),
        kind: KindId::SIP_REGISTRATION,
        places: Places::Dictionary(Vec::new()),
    };
    match node.request(Command::Fetch(spec)).await {
        Ok(Answer::Fetched(fetched)) => {
            let values = fetched.values.iter();
            let values = values.map(|v| (&v.value, v.signer.as_ref(), v.signer_node_id));
            let contacts = usage::contacts(aor, values);
            let nodes = contacts.iter().filter_map(usage::Contact::node_id);
            Ok((nodes.filter(|id| *id != node.node_id()).collect(), fetched.hops))
        }
        Ok(_) => Err(format!("{aor} could not be looked up.")),
        Err(error) => Err(format!("{aor} could not be looked up in the overlay: {error}.")),
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

/// Devices tried at once; a person has few, and each costs a connection.
const CONTACTS_MAX: usize = 8;
/// Longest way from AppAttach to DTLS: five transmissions (15 s), ICE and handshake together.
const ATTACH_MAX: Duration = Duration::from_secs(25);
