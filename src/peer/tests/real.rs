//! The same with real certificates and signatures.

use std::sync::Arc;
use std::time::Duration;

use super::net::{EPOCH_MS, Net};
use crate::crypto::{Keys, NodeIdDigest, X509Provider};
use crate::message::KindId;
use crate::peer::*;
use crate::usage::certificate_store;

/// R6940-6.3.4-10, R6940-6.3.4-11, R6940-8-01: peers with self-signed certificates join, store
/// and find each other, and each other's certificates.
#[test]
fn peers_with_real_certificates_find_each_other() {
    let provider = X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    };
    let mut net = Net::new(41).with_provider(Arc::new(provider.clone()));
    for node in 0..4 {
        let user = format!("user{node}@example.org");
        let identity = Keys::self_signed(&provider, &user, EPOCH_MS, 30)
            .and_then(|made| made.identity(&provider))
            .expect("an identity");
        net.add_identity(identity);
        match node {
            0 => {
                net.command(0, Command::Found);
            }
            _ => net.join(node, 0),
        }
        net.run(Duration::from_secs(3));
    }
    net.assert_ring(3);
    for node in 0..4 {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(Duration::from_secs(5));
    for (from, of) in [(0, 3), (1, 0), (2, 2), (3, 1)] {
        let fetched = net.fetch(from, of).expect("an answer");
        assert_eq!(fetched.values[0].signer.user_name, net.user(of));
        let user = crate::storage::resource_id(net.user(of).as_bytes());
        let spec = FetchSpec {
            resource: user,
            kind: KindId::CERTIFICATE_BY_USER,
            places: crate::message::Places::Array(Vec::new()),
        };
        let Ok(Answer::Fetched(fetched)) = net.ask(from, Command::Fetch(spec)) else {
            panic!("no certificates of {of}");
        };
        assert_eq!(fetched.values.len(), 1);
        let found = certificate_store::certificate_in(&fetched.values[0].value);
        assert_eq!(found.as_deref(), Some(&fetched.values[0].signer.der[..]));
    }
}
