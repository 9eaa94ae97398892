//! Those who flood an end with handshakes from addresses where they may or may not be.

use std::net::SocketAddr;

use positron_proto::{
    datagram::{
        Endpoint,
        contract::{EndpointConfig, Expect},
    },
    limits::MAX_DATAGRAM_DIALS,
    rng::Rng,
    time::Now,
};

use super::{
    attacker::Datagram,
    identities::{STRANGER, identity, network},
};
use crate::dice::Dice;

/// Everybody who ever flooded, and takes the cookies that come of it.
#[derive(Default)]
pub(super) struct Strangers {
    all: Vec<Endpoint>,
}

impl Strangers {
    /// Somebody new begins as many handshakes, each from an address of its own.
    pub(super) fn flood(
        &mut self,
        now: Now,
        rng: Rng,
        target: SocketAddr,
        count: u32,
    ) -> Vec<Datagram> {
        let config = EndpointConfig::new(network());
        let mut stranger = Endpoint::new(config, identity(STRANGER).clone(), 1, rng);
        let most = u32::try_from(MAX_DATAGRAM_DIALS).unwrap_or(u32::MAX);
        for _ in 0..count.min(most) {
            if stranger.connect(now, target, Expect::Anyone, None).is_err() {
                break;
            }
        }
        let (mut buf, mut syns, mut number) = (Vec::new(), Vec::new(), 0_u16);
        while let Some(transmit) = stranger.poll_transmit(now, 1, &mut buf) {
            let bytes = buf[..transmit.len.min(buf.len())].to_vec();
            syns.push(Datagram { from: stranger_at(number), to: target, bytes });
            number = number.wrapping_add(1);
        }
        self.all.push(stranger);
        syns
    }

    /// A cookie for a stranger, who brings it from there or from an address where it never was.
    pub(super) fn hear(&mut self, now: Now, cookie: &Datagram, dice: &mut Dice) -> Vec<Datagram> {
        let (mut buf, mut answers) = (Vec::new(), Vec::new());
        for stranger in &mut self.all {
            stranger.handle_datagrams(now, cookie.from, 0, &cookie.bytes);
            while let Some(transmit) = stranger.poll_transmit(now, 1, &mut buf) {
                let bytes = buf[..transmit.len.min(buf.len())].to_vec();
                let elsewhere = dice.chance(0.5);
                let from = if elsewhere { stranger_at(u16::MAX) } else { cookie.to };
                answers.push(Datagram { from, to: cookie.from, bytes });
            }
        }
        answers
    }

    /// All of them go away.
    pub(super) fn leave(&mut self) {
        self.all.clear();
    }
}

/// Where a stranger is.
fn stranger_at(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 7, high, low], 1_000))
}
