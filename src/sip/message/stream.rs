//! Messages on a stream: where one ends and the next one begins (RFC 3261 §18.3).

use super::ParseError;
use crate::sip::limits;

/// How many of the first bytes of a stream are its first message, or line ends between two
/// (RFC 5626 §3.5.1); `None` until all of it has come.
///
/// # Errors
///
/// What has come is no message that we read: nothing behind it can be found, and the stream is of
/// no more use.
pub fn first_in_stream(bytes: &[u8]) -> Result<Option<usize>, ParseError> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        return Ok(Some(blank));
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(header) = end.map(|end| end + 4) else {
        return if bytes.len() > limits::MESSAGE_BYTES_MAX {
            Err(ParseError::TooLong)
        } else {
            Ok(None)
        };
    };
    let text = String::from_utf8_lossy(&bytes[..header]);
    let lengths = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = ["Content-Length", "l"].iter().any(|n| n.eq_ignore_ascii_case(name.trim()));
        is_length.then(|| value.trim().parse::<usize>())
    });
    let mut length = 0;
    for found in lengths {
        length = found.map_err(|_| ParseError::HeaderLine)?;
    }
    match header.checked_add(length) {
        Some(whole) if whole <= limits::MESSAGE_BYTES_MAX => {
            Ok((bytes.len() >= whole).then_some(whole))
        }
        _ => Err(ParseError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261 §18.3: Content-Length says where a message ends, however the bytes come.
    #[test]
    fn messages_follow_each_other() {
        let first = b"BYE sip:a@b SIP/2.0\r\nl : 5\r\n\r\nhello";
        let stream = [first.as_slice(), b"\r\n\r\n", b"ACK sip:a@b SIP/2.0\r\n\r\n"].concat();
        for come in 0..first.len() {
            assert_eq!(first_in_stream(&stream[..come]), Ok(None), "{come}");
        }
        assert_eq!(first_in_stream(&stream), Ok(Some(first.len())));
        assert_eq!(first_in_stream(&stream[first.len()..]), Ok(Some(4)));
        assert_eq!(first_in_stream(&stream[first.len() + 4..]), Ok(Some(23)));
    }

    /// What would grow without bound ends the stream.
    #[test]
    fn what_has_no_end_is_given_up() {
        let endless = vec![b'a'; limits::MESSAGE_BYTES_MAX + 1];
        assert_eq!(first_in_stream(&endless), Err(ParseError::TooLong));
        let huge = b"BYE sip:a@b SIP/2.0\r\nContent-Length: 70000\r\n\r\n";
        assert_eq!(first_in_stream(huge), Err(ParseError::TooLong));
        let bad = b"BYE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n";
        assert_eq!(first_in_stream(bad), Err(ParseError::HeaderLine));
    }
}
