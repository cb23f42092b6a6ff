//! Fuzz targets: every decoder of this room. See [`crate::fuzz`].

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::fuzz::round_trip;
use crate::base::{Decode, DecodeError, Encode, Instant, Reader, TransactionId, Writer};

/// A whole message: header, contents and security block.
pub fn packet(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(&Bytes::copy_from_slice(bytes), NODE_ID_LENGTH) else {
        return;
    };
    let written = packet.encode().expect("what was read can be written");
    assert!(written.len() <= bytes.len(), "an opaque entry may become shorter, nothing longer");
    assert_eq!(Packet::decode(&written, NODE_ID_LENGTH).as_ref(), Ok(&packet));
    let Ok(opened) = packet.open(NODE_ID_LENGTH) else { return };
    let mut writer = Writer::default();
    opened.contents.encode(&mut writer);
    assert_eq!(opened.signed, writer.clone().finish().expect("short"));
    opened.security.encode(&mut writer);
    assert_eq!(packet.payload, writer.finish().expect("short"));
}

/// The body of one method, which the first byte chooses.
pub fn body(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let targets: [fn(&[u8]); 24] = [
        round_trip::<Attach>,
        round_trip::<AppAttach>,
        round_trip::<JoinReq>,
        round_trip::<JoinAns>,
        round_trip::<LeaveReq>,
        round_trip::<ChordLeave>,
        round_trip::<ChordUpdate>,
        round_trip::<PingReq>,
        round_trip::<PingAns>,
        round_trip::<ErrorResponse>,
        round_trip::<StoreReq>,
        round_trip::<StoreAns>,
        round_trip::<FetchReq>,
        round_trip::<FetchAns>,
        round_trip::<Destination>,
        round_trip::<SecurityBlock>,
        round_trip::<ProbeReq>,
        round_trip::<ProbeAns>,
        round_trip::<RouteQueryReq>,
        round_trip::<ChordRouteQueryAns>,
        round_trip::<FindReq>,
        round_trip::<FindAns>,
        round_trip::<StatAns>,
        round_trip::<ConfigUpdateReq>,
    ];
    targets[usize::from(*choice) % targets.len()](body);
}

/// Stored values and the places of a Fetch in each data model. The first byte chooses the model
/// and the message that they come in.
pub fn stored_data(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let model = MODELS[usize::from(*choice) % MODELS.len()];
    let kinds = match usize::from(*choice) / MODELS.len() % 4 {
        0 => StoreReq::from_bytes(body).map(|store| store.kinds).unwrap_or_default(),
        1 => FetchAns::from_bytes(body).map(|answer| answer.kinds).unwrap_or_default(),
        2 => {
            for kind in StatAns::from_bytes(body).map(|answer| answer.kinds).unwrap_or_default() {
                let Ok(values) = kind.values(model) else { continue };
                assert_eq!(StatKindResponse::new(kind.kind, kind.generation, &values), kind);
            }
            return;
        }
        _ => {
            for specifier in FetchReq::from_bytes(body).map(|r| r.specifiers).unwrap_or_default() {
                let Ok(places) = specifier.places(model) else { continue };
                let again = StoredDataSpecifier::new(specifier.kind, &places);
                assert_eq!(again.places(model), Ok(places));
            }
            return;
        }
    };
    for kind in kinds {
        let Ok(values) = kind.values(model) else { continue };
        assert!(values.iter().all(|value| value.value.model() == model));
        assert_eq!(KindData::new(kind.kind, kind.generation, &values), kind);
    }
}

/// Fragments of several messages in any order, with time between them, and messages that are cut
/// and joined again.
pub fn fragments(bytes: &[u8]) {
    let mut script = Reader::new(bytes);
    let mut table = Reassembly::default();
    let mut now = Instant::ORIGIN;
    while let Ok(step) = fragment(&mut script, &mut now) {
        let length_max = 4096;
        if let Some(whole) = table.insert(now, step, length_max) {
            assert!(whole.payload.len() <= length_max);
            assert_eq!(whole.header.fragment, Fragment::WHOLE);
            cut_and_join(&whole);
        }
        table.check();
    }
}

fn fragment(script: &mut Reader<'_>, now: &mut Instant) -> Result<Packet, DecodeError> {
    let flags = script.u8()?;
    *now = *now + Duration::from_millis(u64::from(flags >> 4) * 500);
    let transaction_id = TransactionId(u64::from(script.u8()? % 80));
    let offset = u32::from(script.u16()?) >> (flags >> 1 & 7);
    let length = usize::from(script.u16()?) % 2048;
    let fill = script.u8()?;
    let header = ForwardingHeader {
        overlay: 1,
        configuration_sequence: 0,
        ttl: 100,
        fragment: Fragment { last: flags & 1 != 0, offset },
        transaction_id,
        max_response_length: 0,
        via_list: Vec::new(),
        destination_list: Vec::new(),
        options: Vec::new(),
    };
    Ok(Packet { header, payload: vec![fill; length].into() })
}

fn cut_and_join(whole: &Packet) {
    let mut table = Reassembly::default();
    let parts = split(whole.encode().expect("short"), 500);
    let parts = parts.map(|part| Packet::decode(&part, NODE_ID_LENGTH).expect("a fragment"));
    let joined: Vec<_> = parts.filter_map(|p| table.insert(Instant::ORIGIN, p, 1 << 16)).collect();
    assert_eq!(joined, std::slice::from_ref(whole));
}

const NODE_ID_LENGTH: usize = 16;
const MODELS: [DataModel; 3] = [DataModel::Single, DataModel::Array, DataModel::Dictionary];
