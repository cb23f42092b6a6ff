//! Dialogs: what two user agents remember of each other between requests (RFC 3261 §12).

use super::limits;
use super::message::{
    CSeq, HeaderError, Headers, Method, NameAddr, Replaces, Request, Response, Uri,
};

/// The state of one dialog; before the first response with a tag, the caller's half of one.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    call_id: String,
    local: NameAddr,
    remote: NameAddr,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    target: Uri,
    routes: Vec<String>,
}

/// Where an incoming request stands in the order of its dialog (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Newer than all before.
    InOrder,
    /// Older than one before: answered 500.
    OutOfOrder,
}

impl Dialog {
    /// The caller's half, before its INVITE, which gets the number after `cseq` (RFC 3261 §8.1.1).
    pub(super) fn of_caller(call_id: String, local: NameAddr, to: Uri, cseq: u32) -> Self {
        Self {
            call_id,
            local,
            remote: NameAddr::new(to.clone()),
            local_cseq: cseq,
            remote_cseq: None,
            target: to,
            routes: Vec::new(),
        }
    }

    /// The callee's side, from the INVITE (RFC 3261 §12.1.1).
    pub(super) fn of_callee(invite: &Request, tag: &str, cseq: u32) -> Result<Self, HeaderError> {
        let headers = &invite.headers;
        Ok(Self {
            call_id: headers.call_id()?.to_owned(),
            local: headers.to()?.with_tag(tag),
            remote: headers.from()?,
            local_cseq: cseq,
            remote_cseq: Some(headers.cseq()?.number),
            target: headers.contact()?.uri().clone(),
            routes: routes(headers),
        })
    }

    /// Makes the caller's half whole from a 2xx (RFC 3261 §12.1.2). Without a Contact, which the
    /// callee must send, requests go on to the address that was called.
    pub(super) fn confirm(&mut self, response: &Response) -> Result<(), HeaderError> {
        self.remote = response.headers.to()?;
        self.refresh_target(&response.headers);
        self.routes = routes(&response.headers);
        self.routes.reverse();
        Ok(())
    }

    /// Our own address, with our tag.
    pub(super) fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The other side's address, with its tag once the dialog is whole.
    pub(super) fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Whether a request from the other side belongs here. Until the other side's tag is known,
    /// any tag does: its BYE may overtake its 200.
    pub(super) fn has_request(&self, call_id: &str, from: &NameAddr, to: &NameAddr) -> bool {
        self.call_id == call_id
            && self.local.tag() == to.tag()
            && (self.remote.tag().is_none() || self.remote.tag() == from.tag())
    }

    /// How the other side knows this dialog, once it is whole (RFC 3891 §3).
    pub(super) fn replaces(&self) -> Option<Replaces> {
        Some(Replaces {
            call_id: self.call_id.clone(),
            to_tag: self.remote.tag()?.to_owned(),
            from_tag: self.local.tag()?.to_owned(),
            early_only: false,
        })
    }

    /// Whether the other side means this dialog.
    pub(super) fn is_named(&self, replaces: &Replaces) -> bool {
        self.call_id == replaces.call_id
            && self.local.tag() == Some(&replaces.to_tag)
            && self.remote.tag() == Some(&replaces.from_tag)
    }

    /// Notes the number of a request from the other side (RFC 3261 §12.2.2).
    pub(super) fn order(&mut self, number: u32) -> Order {
        if self.remote_cseq.is_some_and(|last| number < last) {
            return Order::OutOfOrder;
        }
        self.remote_cseq = Some(number);
        Order::InOrder
    }

    /// Takes over the Contact of a re-INVITE or of a 2xx, if there is one (RFC 3261 §12.2.2).
    pub(super) fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(contact) = headers.contact() {
            self.target = contact.uri().clone();
        }
    }

    /// The number of our last request.
    pub(super) fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The next request of the dialog, without Via (RFC 3261 §12.2.1.1).
    pub(super) fn request(&mut self, method: rsip::Method) -> Request {
        self.local_cseq += 1;
        self.with_cseq(method, self.local_cseq)
    }

    /// The next request in an early dialog of this INVITE, which shares the numbers of all that
    /// the same INVITE has begun.
    pub(super) fn request_in(&mut self, early: &Self, method: rsip::Method) -> Request {
        self.local_cseq += 1;
        early.with_cseq(method, self.local_cseq)
    }

    /// The number for a request that is sent again as another one.
    pub(super) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// The ACK for the 2xx to the INVITE numbered `cseq`, without Via (RFC 3261 §13.2.2.4).
    pub(super) fn ack(&self, cseq: u32) -> Request {
        self.with_cseq(rsip::Method::Ack, cseq)
    }

    fn with_cseq(&self, method: rsip::Method, number: u32) -> Request {
        // A route whose first hop has no "lr" is a router older than RFC 3261; it gets the same
        // message, since only the flow decides where it goes.
        let mut request = Request::new(method.into(), &self.target);
        let headers = &mut request.headers;
        for route in &self.routes {
            headers.push("Route", route);
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", &self.local.to_string());
        headers.push("To", &self.remote.to_string());
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", &CSeq { number, method: Method::Known(method) }.to_string());
        request
    }
}

fn routes(headers: &Headers) -> Vec<String> {
    let entries = headers.list("Record-Route").into_iter();
    entries.take(limits::ROUTES_MAX).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;

    fn invite() -> Request {
        let text = "INVITE sip:bob@o SIP/2.0\r\nVia: SIP/2.0/UDP o;branch=z9hG4bK1\r\n\
            From: <sip:alice@o>;tag=a\r\nTo: <sip:bob@o>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\
            Contact: <sip:alice@o;gr=x>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\r\n";
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_callee_keeps_the_route_and_the_caller_reverses_it() {
        let mut callee = Dialog::of_callee(&invite(), "b", 10).expect("whole");
        let bye = callee.request(rsip::Method::Bye);
        assert_eq!(bye.uri().map(|u| u.to_string()).as_deref(), Ok("sip:alice@o;gr=x"));
        assert_eq!(bye.headers.list("Route"), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(bye.headers.first("CSeq"), Some("11 BYE"));
        assert_eq!(bye.headers.first("From"), Some("<sip:bob@o>;tag=b"));
        assert_eq!(bye.headers.first("To"), Some("<sip:alice@o>;tag=a"));

        let mut ok = Response::to(&invite(), rsip::StatusCode::OK, Some("b"));
        ok.headers.push("Record-Route", "<sip:p1;lr>, <sip:p2;lr>");
        ok.headers.push("Contact", "<sip:bob@o;gr=y>");
        let from: NameAddr = "<sip:alice@o>;tag=a".parse().expect("address");
        let to: Uri = "sip:bob@o".parse().expect("URI");
        let mut caller = Dialog::of_caller("c".into(), from, to, 6);
        assert_eq!(caller.request(rsip::Method::Invite).headers.first("CSeq"), Some("7 INVITE"));
        assert!(caller.confirm(&ok).is_ok());
        let ack = caller.ack(7);
        assert_eq!(ack.headers.list("Route"), ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(ack.headers.first("CSeq"), Some("7 ACK"));
        assert_eq!(ack.uri().map(|u| u.to_string()).as_deref(), Ok("sip:bob@o;gr=y"));
    }

    #[test]
    fn an_older_request_is_out_of_order() {
        let mut callee = Dialog::of_callee(&invite(), "b", 10).expect("whole");
        assert_eq!(callee.order(9), Order::InOrder);
        assert_eq!(callee.order(8), Order::OutOfOrder);
    }
}
