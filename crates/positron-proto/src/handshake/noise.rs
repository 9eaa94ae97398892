//! The two Noise handshakes of links `[PROTOCOL 5.1]`.

pub(crate) use crate::crypto::noise::{Broken, Noise, Split};
use crate::{crypto::X25519Key, identity::Identity};

/// Which messages a handshake has (Noise revision 34, 7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `-> e, es, s, ss  <- e, ee, se`: the initiator knows the responder's static key.
    Ik = 1,
    /// `-> e  <- e, ee, s, es  -> s, se`: neither knows the other's.
    Xx = 2,
}

impl Pattern {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ik),
            2 => Some(Self::Xx),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ik => "Noise_IK_25519_AESGCM_SHA256",
            Self::Xx => "Noise_XX_25519_AESGCM_SHA256",
        }
    }

    /// The side that speaks first. IK needs `theirs`. Both sides must give the same `prologue`.
    pub(crate) fn initiator(
        self,
        prologue: &[u8],
        me: &Identity,
        theirs: Option<&[u8; 32]>,
        ephemeral: [u8; 32],
    ) -> Result<Noise, Broken> {
        Noise::initiator(self.name(), prologue, me.link_secret(), theirs, ephemeral)
    }

    /// The side that answers.
    pub(crate) fn responder(
        self,
        prologue: &[u8],
        me: &Identity,
        ephemeral: [u8; 32],
    ) -> Result<Noise, Broken> {
        Noise::responder(self.name(), prologue, me.link_secret(), ephemeral)
    }
}

/// The static X25519 public key of a node's links, as its peer record states it.
pub fn link_public_key(me: &Identity) -> [u8; 32] {
    *X25519Key::new(me.link_secret()).public()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ephemeral(n: u8) -> [u8; 32] {
        [n; 32]
    }

    #[test]
    fn both_patterns_end_in_the_same_secrets_and_know_the_static_keys() {
        let (alice, bob) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        for pattern in [Pattern::Ik, Pattern::Xx] {
            let theirs = (pattern == Pattern::Ik).then(|| link_public_key(&bob));
            let mut a = pattern.initiator(b"p", &alice, theirs.as_ref(), ephemeral(3)).unwrap();
            let mut b = pattern.responder(b"p", &bob, ephemeral(4)).unwrap();
            let rounds = if pattern == Pattern::Ik { 2 } else { 3 };
            for round in 0..rounds {
                let mut message = Vec::new();
                let (from, to) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
                from.write(b"payload", &mut message).unwrap();
                assert_eq!(to.read(&message).unwrap(), b"payload");
            }
            assert_eq!(a.their_static(), Some(link_public_key(&bob)));
            assert_eq!(b.their_static(), Some(link_public_key(&alice)));
            let (a, b) = (a.split().unwrap(), b.split().unwrap());
            assert_eq!(a.hash, b.hash);
            assert_eq!(a.from_initiator, b.from_initiator);
            assert_eq!(a.from_responder, b.from_responder);
            assert_ne!(a.from_initiator, a.from_responder);
        }
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let alice = Identity::from_seed([1; 32]);
        for low in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            let mut a = Pattern::Ik.initiator(b"p", &alice, Some(&low), ephemeral(3)).unwrap();
            assert_eq!(a.write(b"", &mut Vec::new()), Err(Broken));
            let mut b = Pattern::Xx.responder(b"p", &alice, ephemeral(4)).unwrap();
            b.read(&low).unwrap();
            assert_eq!(b.write(b"", &mut Vec::new()), Err(Broken));
        }
    }
}
