//! Fuzz targets: links that invite. See [`crate::fuzz`].

use super::Invitation;

/// A link as somebody was sent it; what is read and written again says the same.
pub fn invitation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(invitation) = text.parse::<Invitation>() {
        assert!(Invitation::is_link(text));
        assert_eq!(invitation.to_string().parse(), Ok(invitation));
    }
}
