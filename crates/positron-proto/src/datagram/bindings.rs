//! Answers to STUN: how a node sees whoever asks `[PROTOCOL 9.12]`.

use std::net::SocketAddr;

use super::{
    counters::EndpointCounters,
    extra_socket::ExtraSocket,
    per_second::{PerAddress, PerSecond},
};
use crate::{
    limits::{
        BINDINGS_PER_ADDRESS, BINDINGS_PER_SECOND, SHORT_BINDINGS_PER_ADDRESS,
        SHORT_BINDINGS_PER_SECOND,
    },
    scope::canonical,
    stun::{BindingAnswer, BindingRequest, StunMessage, UNKNOWN_ATTRIBUTE},
    time::Instant,
};

/// Answers Binding requests, so that nobody can turn it against somebody else: an answer is no
/// longer than its request, but for a few a second. Those let clients in that ask in 20 bytes, as
/// most do, for an answer of 32; at one a second an address they are no weapon.
///
/// **Bounds**: [`BINDINGS_PER_ADDRESS`] and [`BINDINGS_PER_SECOND`] answers, of them
/// [`SHORT_BINDINGS_PER_ADDRESS`] and [`SHORT_BINDINGS_PER_SECOND`] to requests that are shorter.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    answered: Answered,
    /// Of them, those that were longer than their requests.
    grown: Answered,
}

/// What was answered in this second.
#[derive(Debug, Default)]
struct Answered {
    of_each: PerAddress,
    in_all: PerSecond,
}

impl Bindings {
    /// The answer to a datagram that claims to be STUN, if there is to be one.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        counters: &mut EndpointCounters,
    ) -> Option<Vec<u8>> {
        let Ok(StunMessage::Request(request)) = StunMessage::decode(datagram) else {
            counters.stun_ignored += 1;
            return None;
        };
        let BindingRequest { id, unknown, has_fingerprint } = request;
        let answer = if unknown.is_empty() {
            BindingAnswer::Mapped(canonical(ExtraSocket::split(from).1))
        } else {
            BindingAnswer::Refused { code: UNKNOWN_ATTRIBUTE, unknown }
        };
        let answer = answer.encode(&id, has_fingerprint);
        let grows = answer.len() > datagram.len();
        let is_over = self.answered.is_over(now, from, BINDINGS_PER_ADDRESS, BINDINGS_PER_SECOND);
        let (of_each, in_all) = (SHORT_BINDINGS_PER_ADDRESS, SHORT_BINDINGS_PER_SECOND);
        if is_over || (grows && self.grown.is_over(now, from, of_each, in_all)) {
            counters.stun_over_limit += 1;
            return None;
        }
        self.answered.count(now, from);
        if grows {
            self.grown.count(now, from);
        }
        counters.stun_answered += 1;
        Some(answer)
    }
}

impl Answered {
    fn is_over(&mut self, now: Instant, from: SocketAddr, of_each: u32, in_all: u32) -> bool {
        self.in_all.in_this_second(now) >= in_all
            || self.of_each.in_this_second(now, from) >= of_each
    }

    fn count(&mut self, now: Instant, from: SocketAddr) {
        self.in_all.count(now);
        self.of_each.count(now, from);
    }
}
