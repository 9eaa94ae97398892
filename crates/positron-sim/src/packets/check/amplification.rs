//! Little is sent to an address that has not proven itself (RFC 9000, 8.1).

use std::{collections::BTreeMap, net::SocketAddr};

use positron_proto::limits::AMPLIFICATION;

use super::{Promise, Wrong};

/// What one end received from each address and sent to it.
#[derive(Debug, Default)]
pub(crate) struct Amplification(BTreeMap<SocketAddr, Account>);

#[derive(Debug, Default)]
struct Account {
    proven: bool,
    received: u64,
    sent: u64,
    /// Bytes sent, by type of packet.
    by_type: BTreeMap<u8, u64>,
}

impl Amplification {
    /// A datagram was handed to the end.
    pub(crate) fn handle_received(&mut self, from: SocketAddr, len: usize) {
        self.0.entry(from).or_default().received += u64::try_from(len).unwrap_or(0);
    }

    /// Somebody proved to be there, or the end was told to send there.
    pub(crate) fn handle_proof(&mut self, addr: SocketAddr) {
        self.0.entry(addr).or_default().proven = true;
    }

    /// The end sent a datagram whose third byte, the type of a packet, is `kind`.
    pub(crate) fn sent(&mut self, to: SocketAddr, kind: u8, len: usize) -> Result<(), Wrong> {
        let account = self.0.entry(to).or_default();
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        account.sent += len;
        *account.by_type.entry(kind).or_default() += len;
        if account.proven || account.sent <= AMPLIFICATION * account.received {
            return Ok(());
        }
        Err(Wrong::new(Promise::Amplification, format!("{to} is not proven: {account:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_three_times_is_found_until_the_address_is_proven() {
        let victim = SocketAddr::from(([10, 9, 0, 1], 1));
        let mut end = Amplification::default();
        end.handle_received(victim, 100);
        assert!(end.sent(victim, 2, 300).is_ok());
        assert!(end.sent(victim, 2, 1).is_err());
        end.handle_proof(victim);
        assert!(end.sent(victim, 7, 10_000).is_ok());
    }

    #[test]
    fn what_is_sent_unasked_is_found() {
        let nobody = SocketAddr::from(([10, 9, 0, 2], 1));
        let wrong = Amplification::default().sent(nobody, 6, 33).unwrap_err();
        assert!(wrong.what.contains("{6: 33}"), "{}", wrong.what);
    }
}
