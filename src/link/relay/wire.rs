//! What relayed data is wrapped in (RFC 8656 §11.6, §12.4, §18), read and written in place.

use std::net::{IpAddr, SocketAddr};

/// The numbers that channels have in RFC 5766 §11, which RFC 6940 names. RFC 8656 §12 leaves the
/// first quarter of them; ours are among those.
pub const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7fff;
/// Bytes before the data of a channel.
pub const CHANNEL_HEADER: usize = 4;
/// What a Send indication begins with.
const SEND_INDICATION: u16 = 0x0016;
/// What a Data indication begins with.
const DATA_INDICATION: u16 = 0x0017;
pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
const DATA: u16 = 0x0013;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const STUN_HEADER: usize = 20;
const ATTRIBUTE_HEADER: usize = 4;

/// Number and data of a ChannelData message.
pub fn read_channel(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let (header, rest) = datagram.split_first_chunk::<CHANNEL_HEADER>()?;
    let number = u16::from_be_bytes([header[0], header[1]]);
    let length = u16::from_be_bytes([header[2], header[3]]);
    // There may be padding (RFC 8656 §12.5).
    let data = rest.get(..length.into())?;
    CHANNELS.contains(&number).then_some((number, data))
}

/// Puts data of a channel behind what is in `out`.
pub fn write_channel(out: &mut Vec<u8>, number: u16, data: &[u8]) {
    out.extend_from_slice(&number.to_be_bytes());
    // A datagram has no more than 65,535 bytes.
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

/// Peer and data of a Send indication.
pub fn read_send(datagram: &[u8]) -> Option<(SocketAddr, &[u8])> {
    read_indication(datagram, SEND_INDICATION)
}

/// Peer and data of a Data indication.
pub fn read_data(datagram: &[u8]) -> Option<(SocketAddr, &[u8])> {
    read_indication(datagram, DATA_INDICATION)
}

/// Puts a Send indication behind what is in `out`.
pub fn write_send(out: &mut Vec<u8>, transaction: [u8; 12], peer: SocketAddr, data: &[u8]) {
    write_indication(out, SEND_INDICATION, transaction, peer, data);
}

/// Puts a Data indication behind what is in `out`.
pub fn write_data(out: &mut Vec<u8>, transaction: [u8; 12], peer: SocketAddr, data: &[u8]) {
    write_indication(out, DATA_INDICATION, transaction, peer, data);
}

/// How long the message is that a stream begins with, padding included (RFC 8656 §12.5); `None`
/// while too little of it is there.
///
/// # Errors
/// What comes is neither STUN nor a channel's, and nothing behind it can be told apart.
pub fn stream_length(stream: &[u8]) -> Result<Option<usize>, NotTurn> {
    let Some(header) = stream.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    match header[0] {
        0..=3 if length.is_multiple_of(4) => Ok(Some(STUN_HEADER + length)),
        64..=127 => Ok(Some(CHANNEL_HEADER + length.next_multiple_of(4))),
        _ => Err(NotTurn),
    }
}

/// What a stream has is not TURN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTurn;

/// The address in an attribute's value (RFC 8489 §14.2).
pub(super) fn read_address(value: &[u8], transaction: &[u8]) -> Option<SocketAddr> {
    let (header, rest) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([header[2], header[3]]) ^ COOKIE_HIGH;
    let mask = mask(transaction.first_chunk()?);
    let ip: IpAddr = match header[1] {
        FAMILY_IPV4 => xor(*rest.first_chunk::<4>()?, &mask).into(),
        FAMILY_IPV6 => xor(*rest.first_chunk::<16>()?, &mask).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// The value of an attribute with an address, behind what is in `out`.
pub(super) fn write_address(out: &mut Vec<u8>, address: SocketAddr, transaction: &[u8; 12]) {
    let mask = mask(transaction);
    let family = if address.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 };
    out.extend_from_slice(&[0, family]);
    out.extend_from_slice(&(address.port() ^ COOKIE_HIGH).to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&xor(ip.octets(), &mask)),
        IpAddr::V6(ip) => out.extend_from_slice(&xor(ip.octets(), &mask)),
    }
}

fn read_indication(datagram: &[u8], message_type: u16) -> Option<(SocketAddr, &[u8])> {
    let (header, mut rest) = datagram.split_first_chunk::<STUN_HEADER>()?;
    if header[..2] != message_type.to_be_bytes() || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    let (mut peer, mut data) = (None, None);
    while let Some((attribute, after)) = rest.split_first_chunk::<ATTRIBUTE_HEADER>() {
        let length = usize::from(u16::from_be_bytes([attribute[2], attribute[3]]));
        let value = after.get(..length)?;
        match u16::from_be_bytes([attribute[0], attribute[1]]) {
            XOR_PEER_ADDRESS => peer = Some(read_address(value, &header[8..])?),
            DATA => data = Some(value),
            // One that has to be understood and is not (RFC 8489 §6.3.2); DONT-FRAGMENT too.
            0..0x8000 => return None,
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    peer.zip(data)
}

fn write_indication(
    out: &mut Vec<u8>,
    message_type: u16,
    transaction: [u8; 12],
    peer: SocketAddr,
    data: &[u8],
) {
    let address = if peer.is_ipv4() { 8 } else { 20 };
    let padded = data.len().next_multiple_of(4);
    let length = 2 * ATTRIBUTE_HEADER + address + padded;
    out.extend_from_slice(&message_type.to_be_bytes());
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&MAGIC_COOKIE);
    out.extend_from_slice(&transaction);
    out.extend_from_slice(&XOR_PEER_ADDRESS.to_be_bytes());
    out.extend_from_slice(&(address as u16).to_be_bytes());
    write_address(out, peer, &transaction);
    out.extend_from_slice(&DATA.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
    out.resize(out.len() + padded - data.len(), 0);
}

fn mask(transaction: &[u8; 12]) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(transaction);
    mask
}

fn xor<const N: usize>(mut bytes: [u8; N], mask: &[u8; 16]) -> [u8; N] {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bytes
}

const COOKIE_HIGH: u16 = 0x2112;
const FAMILY_IPV4: u8 = 1;
const FAMILY_IPV6: u8 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = SocketAddr> {
        let ip = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(|ip| IpAddr::from(ip).to_canonical()),
        ];
        (ip, any::<u16>()).prop_map(SocketAddr::from)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            peer in address(),
            transaction: [u8; 12],
            data: Vec<u8>,
            number in CHANNELS,
        ) {
            let mut out = Vec::new();
            write_send(&mut out, transaction, peer, &data);
            prop_assert_eq!(read_send(&out), Some((peer, &data[..])));
            prop_assert_eq!(read_data(&out), None);
            prop_assert_eq!(stream_length(&out), Ok(Some(out.len())));
            out.clear();
            write_data(&mut out, transaction, peer, &data);
            prop_assert_eq!(read_data(&out), Some((peer, &data[..])));
            out.clear();
            write_channel(&mut out, number, &data);
            prop_assert_eq!(read_channel(&out), Some((number, &data[..])));
            prop_assert_eq!(stream_length(&out), Ok(Some(out.len().next_multiple_of(4))));
        }

        #[test]
        fn no_bytes_make_it_panic(noise: Vec<u8>, first in 0u8..80) {
            let mut datagram = vec![first];
            datagram.extend(noise);
            let _ = (read_channel(&datagram), read_send(&datagram), stream_length(&datagram));
        }
    }

    /// The address of RFC 5769 §2.2, which is in every other implementation too.
    #[test]
    fn addresses_are_those_of_the_test_vectors() {
        let transaction: [u8; 12] =
            hex::decode("b7e7a701bc34d686fa87dfae").unwrap().try_into().unwrap();
        for (value, text) in [
            ("0001a147e112a643", "192.0.2.1:32853"),
            (
                "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
                "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            ),
        ] {
            let value = hex::decode(value).unwrap();
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(read_address(&value, &transaction), Some(address));
            let mut out = Vec::new();
            write_address(&mut out, address, &transaction);
            assert_eq!(out, value);
        }
    }
}
