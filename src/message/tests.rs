//! Whole messages: layout, round trips and bytes that nobody should have sent.

use bytes::Bytes;

use super::*;
use crate::base::{Decode, Encode, NodeId, ResourceId, Rng, TransactionId};
use crate::crypto::{Identity, Keys, NodeIdDigest, Provider, X509Provider};

fn provider() -> X509Provider {
    X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    }
}

fn identity() -> Identity {
    Keys::self_signed(&provider(), "alice@example.org", 1_790_000_000_000, 365)
        .and_then(|made| made.identity(&provider()))
        .expect("an identity")
}

fn header() -> ForwardingHeader {
    ForwardingHeader {
        overlay: overlay_hash("example.org"),
        configuration_sequence: 3,
        ttl: 100,
        fragment: Fragment::WHOLE,
        transaction_id: TransactionId(0x1122_3344_5566_7788),
        max_response_length: 0,
        via_list: vec![NodeId::from_u128(1).into(), NodeId::from_u128(2).into()],
        destination_list: vec![ResourceId::from_u128(9).into()],
        options: Vec::new(),
    }
}

fn ping(identity: &Identity) -> Packet {
    let body = PingReq::default().to_bytes().expect("short");
    let contents = MessageContents::new(Method::Ping.request(), body);
    Packet::seal(header(), &contents, identity, &[]).expect("short")
}

/// R6940-6.3.2-02: the overlay field, for each name of the published vectors.
#[test]
fn overlay_hashes_match_the_vectors() {
    assert_eq!(overlay_hash("overlay.example.org"), 0x9aa3_2b8d);
    assert_eq!(overlay_hash("dht.example.com"), 0xb1d0_a6c8);
    assert_eq!(overlay_hash("example.com"), 0x65b0_781f);
}

/// R6940-6.3.3-01: an empty Ping.
#[test]
fn an_empty_ping_matches_the_vector() {
    let body = PingReq::default().to_bytes().expect("short");
    let contents = MessageContents::new(Method::Ping.request(), body).to_bytes().expect("short");
    assert_eq!(hex::encode(contents), "001700000002000000000000");
}

/// R6940-6.3-01, R6940-6.3.2-13, R6940-6.3.2-14, R6940-6.3.2-15: the header's layout, and
/// nothing behind the security block.
#[test]
fn a_message_is_header_contents_and_security_block() {
    let packet = ping(&identity());
    let bytes = packet.encode().expect("short");
    assert_eq!(hex::encode(&bytes[..4]), "d2454c4f");
    assert_eq!(hex::encode(&bytes[8..16]), "00030a64c0000000");
    assert_eq!(bytes[16..20], (bytes.len() as u32).to_be_bytes());
    assert_eq!(
        hex::encode(&bytes[20..38]),
        "1122334455667788000000000024001300 00".replace(' ', "")
    );
    assert_eq!(Packet::decode(&bytes, 16), Ok(packet.clone()));
    assert!(packet.open(16).is_ok());
    let mut longer = packet.clone();
    longer.payload = [&packet.payload[..], &[0]].concat().into();
    assert!(longer.open(16).is_err());
}

/// R6940-6.3.4-07, R6940-6.3.4-09: what the signature covers and what it leaves open.
#[test]
fn a_signature_covers_contents_and_transaction_but_not_the_lists() {
    let identity = identity();
    let packet = ping(&identity);
    let opened = packet.open(16).expect("parses");
    let signature = &opened.security.signature;
    assert_eq!(identity.certificate.named_by(&signature.identity), Some(identity.node_id));
    let verify = |header: &ForwardingHeader, opened: &Opened| {
        let input = opened.signature_input(header);
        provider().verify(&identity.certificate, signature.algorithm, &input, &signature.value)
    };
    let mut header = packet.header.clone();
    header.ttl = 3;
    header.via_list.clear();
    header.configuration_sequence = 9;
    assert!(verify(&header, &opened));
    header.transaction_id = TransactionId(1);
    assert!(!verify(&header, &opened));
    let mut payload = packet.payload.to_vec();
    payload[1] ^= 2;
    let changed = Packet { payload: payload.into(), ..packet.clone() };
    assert!(!verify(&packet.header, &changed.open(16).expect("parses")));
}

/// R6940-6.3.2-01, R6940-6.3.2-04, R6940-6.7-09: each wrong bit of token, version or fragment
/// makes the message no message.
#[test]
fn wrong_headers_are_refused() {
    let bytes = ping(&identity()).encode().expect("short");
    let flipped = |at: usize, bit: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= bit;
        Packet::decode(&bytes.into(), 16)
    };
    for at in 0..4 {
        for bit in 0..8 {
            assert_eq!(flipped(at, 1 << bit), Err(HeaderError::Token));
        }
    }
    for version in [0x01, 0x0b] {
        let mut bytes = bytes.to_vec();
        bytes[10] = version;
        assert_eq!(Packet::decode(&bytes.into(), 16), Err(HeaderError::Version(version)));
    }
    assert!(flipped(12, 0x80).is_err());
    assert!(flipped(19, 1).is_err());
    assert!(flipped(33, 1).is_err());
}

/// R6940-6.3.2.2-05: no resource in a via list.
#[test]
fn a_resource_in_a_via_list_is_refused() {
    let mut packet = ping(&identity());
    packet.header.via_list.push(ResourceId::from_u128(4).into());
    let bytes = packet.encode().expect("short");
    assert!(Packet::decode(&bytes, 16).is_err());
}

/// R6940-7.1-01, R6940-7.4.2.2-01: the bytes that a value's owner signs.
#[test]
fn a_stored_value_is_signed_with_its_place() {
    let resource = ResourceId::from_u128(1);
    let value = StoredDataValue::Array { index: 7, value: DataValue::existing(&b"v"[..]) };
    let identity = crate::crypto::SignerIdentity::None;
    let kind = KindId::CERTIFICATE_BY_NODE;
    let input = StoredData::signature_input(&resource, kind, 5, &value, &identity);
    let expected = "1000000000000000000000000000000001\
                    00000003\
                    0000000000000005\
                    00000000\
                    010000000176\
                    030000";
    assert_eq!(hex::encode(input), expected);
}

fn stored(model: DataModel) -> StoredData {
    let value = DataValue::existing(&b"value"[..]);
    let value = match model {
        DataModel::Single => StoredDataValue::Single(value),
        DataModel::Array => StoredDataValue::Array { index: 2, value },
        DataModel::Dictionary => {
            StoredDataValue::Dictionary { key: Bytes::from_static(b"key"), value }
        }
    };
    let signature = identity().sign(|_| Vec::new());
    StoredData { storage_time_ms: 12, lifetime_s: 60, value, signature }
}

/// R6940-7-01, R6940-7.4.1.1-04: a Store with values of each model survives the wire.
#[test]
fn stores_round_trip_in_every_model() {
    for model in [DataModel::Single, DataModel::Array, DataModel::Dictionary] {
        let values = vec![stored(model), stored(model)];
        let request = StoreReq {
            resource: ResourceId::from_u128(3),
            replica_number: 2,
            kinds: vec![KindData::new(KindId(0xf000_0001), 4, &values)],
        };
        let bytes = request.to_bytes().expect("short");
        let read = StoreReq::from_bytes(&bytes).expect("parses");
        assert_eq!(read, request);
        assert_eq!(read.kinds[0].values(model), Ok(values));
    }
}

/// R6940-10.7-01: uptime, type, and the lists that the type has.
#[test]
fn updates_have_the_bytes_of_the_rfc() {
    let id = NodeId::from_u128;
    let bytes = |contents| ChordUpdate { uptime_s: 258, contents }.to_bytes().expect("short");
    let head = |kind: u8| vec![0, 0, 1, 2, kind];
    let list = |ids: &[u8]| {
        let mut list = vec![0, 16 * ids.len() as u8];
        for last in ids {
            list.extend([0; 15]);
            list.push(*last);
        }
        list
    };
    assert_eq!(bytes(ChordUpdateContents::PeerReady), head(1));
    let (predecessors, successors) = (vec![id(4), id(9)], vec![id(5)]);
    let neighbors = ChordUpdateContents::Neighbors {
        predecessors: predecessors.clone(),
        successors: successors.clone(),
    };
    assert_eq!(bytes(neighbors), [head(2), list(&[4, 9]), list(&[5])].concat());
    let fingers = vec![id(6), id(7)];
    let full = ChordUpdateContents::Full { predecessors, successors, fingers };
    assert_eq!(bytes(full), [head(3), list(&[4, 9]), list(&[5]), list(&[6, 7])].concat());
}

/// R6940-6.4.2.1-03, R6940-6.3.1.1-05: bodies of the ring's methods; an unknown Update type does
/// not parse.
#[test]
fn ring_messages_round_trip() {
    let id = NodeId::from_u128;
    let join = JoinReq { joining_peer_id: id(1), overlay_data: Vec::new() };
    let bytes = join.to_bytes().expect("short");
    assert_eq!((bytes.len(), &bytes[16..]), (18, &[0, 0][..]));
    assert_eq!(JoinReq::from_bytes(&bytes), Ok(join));
    let leave = ChordLeave::FromPredecessor(vec![id(2), id(3)]);
    assert_eq!(ChordLeave::from_bytes(&leave.to_bytes().expect("short")), Ok(leave));
    for contents in [
        ChordUpdateContents::PeerReady,
        ChordUpdateContents::Neighbors { predecessors: vec![id(4)], successors: vec![id(5)] },
        ChordUpdateContents::Full {
            predecessors: vec![id(4)],
            successors: Vec::new(),
            fingers: vec![id(6), id(7)],
        },
    ] {
        let update = ChordUpdate { uptime_s: 60, contents };
        let mut bytes = update.to_bytes().expect("short");
        assert_eq!(ChordUpdate::from_bytes(&bytes), Ok(update));
        bytes[4] = 9;
        assert!(ChordUpdate::from_bytes(&bytes).is_err());
    }
}

/// Whatever arrives, decoding ends with a message or an error.
#[test]
fn mangled_messages_never_panic() {
    let original = ping(&identity()).encode().expect("short");
    let mut rng = Rng::from_number(11);
    for _ in 0..20_000 {
        let mut bytes = original.to_vec();
        for _ in 0..=rng.below(6) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.u64() as u8;
        }
        bytes.truncate(original.len() - rng.below(40).saturating_sub(30) as usize);
        if let Ok(packet) = Packet::decode(&bytes.into(), 16) {
            let _ = packet.open(16);
        }
    }
}
