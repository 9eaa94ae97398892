//! Somebody who does not speak the protocol, and does it in every way it can.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;
use positron_proto::{
    id::{LinkId, Ticket},
    node::{Command, Effect, Input, Refused},
    session::sessions::{Hangup, LinkKind},
    time::{Duration, Instant, Now},
};

use crate::{dice::Dice, machine::Machine};

/// Time between two dials.
const PACE: Duration = Duration::from_millis(250);

pub(super) struct Outsider {
    targets: Vec<SocketAddr>,
    dice: Dice,
    dialled: u64,
    next: Instant,
    effects: VecDeque<Effect>,
}

impl Outsider {
    pub(super) const fn new(targets: Vec<SocketAddr>, dice: Dice) -> Self {
        Self { targets, dice, dialled: 0, next: Instant::ORIGIN, effects: VecDeque::new() }
    }

    /// Something that is not the protocol; `None`: silence.
    fn nonsense(&mut self) -> Option<Bytes> {
        let noise: Vec<u8> = (0..=self.dice.index(3_000))
            .map(|_| u8::try_from(self.dice.below(256)).unwrap_or(0))
            .collect();
        // A hello: magic, version, kind SYN, pattern, length [PROTOCOL 5.1].
        let hello = |pattern: u8, length: u16| {
            let mut bytes = vec![0xBE, 1, 1, pattern];
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes
        };
        Some(match self.dice.below(7) {
            0 => return None,
            1 => noise.into(),
            2 => [0xFF; 64].as_slice().into(),
            3 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice().into(),
            4 => hello(2, 32).into(),
            5 => [hello(1, 96), noise].concat().into(),
            _ => [hello(2, 0xFFFF), noise].concat().into(),
        })
    }

    fn talk(&mut self, link: LinkId) {
        if let Some(bytes) = self.nonsense() {
            self.effects.push_back(Effect::Write { link, bytes });
        }
        if self.dice.chance(0.3) {
            self.effects.push_back(Effect::Hangup { link, how: Hangup::Abort });
        }
    }
}

impl Machine for Outsider {
    fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Connected { link, .. } | Input::Accepted { link, .. } => self.talk(link),
            // Whatever the answer is, it is answered with more of the same.
            Input::Bytes { link, .. } if self.dice.chance(0.5) => self.talk(link),
            Input::Timeout if now.mono >= self.next => {
                self.next = now.mono + PACE;
                let to = self.targets[self.dice.index(self.targets.len())];
                let link = LinkId::of_core(self.dialled);
                self.dialled += 1;
                self.effects.push_back(Effect::Dial { link, kind: LinkKind::Tcp, to });
            }
            _ => {}
        }
    }

    fn command(&mut self, _: Now, _: Command) -> Result<Ticket, Refused> {
        Err(Refused::Stopping)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.next)
    }
}
