//! Who answered us lately, also those for whom the table has no room.

use std::collections::BTreeMap;

use super::{Contact, Place};
use crate::{
    limits::{ACQUAINTED_FOR, MAX_ACQUAINTANCES, TICKET_EARLINESS, TICKET_LIFE},
    time::Instant,
};

/// The last nodes that answered a question of ours by datagrams: at most [`MAX_ACQUAINTANCES`], one
/// for each place.
///
/// The table keeps few of those who are far from here, whoever they are. Who reads and writes much
/// meets most of a small network, and asks at once whoever is nearest to a key: they have given us
/// tickets. They are where a lookup over one path begins, beside the table and never in its place:
/// disjoint paths begin with the table alone, which nobody fills by answering us.
#[derive(Debug, Default)]
pub(super) struct Acquaintances(BTreeMap<Place, Acquaintance>);

#[derive(Debug)]
struct Acquaintance {
    contact: Contact,
    answered: Instant,
    /// When it gave us the ticket: at its first answer, and at the first after that one's life.
    ticket: Instant,
}

impl Acquaintances {
    /// It answered.
    pub(super) fn handle_answer(&mut self, now: Instant, contact: Contact) {
        let ticket = self.get(&contact).map(|it| it.ticket).filter(|ticket| is_good(*ticket, now));
        let ticket = ticket.unwrap_or(now);
        self.0.insert(contact.place(), Acquaintance { contact, answered: now, ticket });
        if self.0.len() > MAX_ACQUAINTANCES {
            self.forget_oldest();
        }
    }

    /// An eighth of them goes at once, so that it is rarely looked who is to go.
    fn forget_oldest(&mut self) {
        let mut answers: Vec<Instant> = self.0.values().map(|it| it.answered).collect();
        let (_, kept_from, _) = answers.select_nth_unstable(MAX_ACQUAINTANCES / 8);
        let kept_from = *kept_from;
        self.0.retain(|_, it| it.answered > kept_from);
    }

    /// It did not, or may not the next time.
    pub(super) fn forget(&mut self, contact: &Contact) {
        if self.get(contact).is_some() {
            self.0.remove(&contact.place());
        }
    }

    fn get(&self, contact: &Contact) -> Option<&Acquaintance> {
        self.0.get(&contact.place()).filter(|it| it.contact == *contact)
    }

    /// Whether it gave us a ticket that is good still, as far as can be told from its answers.
    pub(super) fn has_ticket(&self, now: Instant, contact: &Contact) -> bool {
        self.get(contact).is_some_and(|it| is_good(it.ticket, now))
    }

    /// Whether it answered within [`ACQUAINTED_FOR`], and there is a ticket.
    pub(super) fn knows(&self, now: Instant, contact: &Contact) -> bool {
        let is_lately = |it: &Acquaintance| now.since(it.answered) < ACQUAINTED_FOR;
        self.has_ticket(now, contact) && self.get(contact).is_some_and(is_lately)
    }

    /// Those nearest to a place that answered within [`ACQUAINTED_FOR`], at least as many as are
    /// wanted, if there are.
    pub(super) fn nearest(&self, now: Instant, target: &Place, wanted: usize) -> Vec<Contact> {
        let mut nearest = Vec::new();
        // Whoever begins with another byte is the farther the more its bits are worth that differ.
        for differing in 0..=u8::MAX {
            let first = target.as_bytes()[0] ^ differing;
            let mut beginning = [0; 32];
            beginning[0] = first;
            let here = self.0.range(Place::from_bytes(beginning)..).map(|(_, it)| it);
            let here = here.take_while(|it| it.contact.place().as_bytes()[0] == first);
            let lately = here.filter(|it| now.since(it.answered) < ACQUAINTED_FOR);
            nearest.extend(lately.map(|it| it.contact));
            if nearest.len() >= wanted {
                break;
            }
        }
        nearest
    }
}

/// A ticket is used up a little before its time, where many are asked with it at once.
fn is_good(ticket: Instant, now: Instant) -> bool {
    now.since(ticket) < TICKET_LIFE - TICKET_EARLINESS
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{identity::Identity, time::Duration};

    fn contact(n: u32) -> Contact {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let addr = SocketAddr::from((n.to_be_bytes(), 1));
        Contact::new(*Identity::from_seed(seed).public_key(), seed, addr)
    }

    fn met(count: u32) -> (Acquaintances, Instant) {
        let mut all = Acquaintances::default();
        let mut now = Instant::ORIGIN;
        for n in 0..count {
            now = Instant::ORIGIN + Duration::from_millis(n.into());
            // Each in a network of its own.
            all.handle_answer(now, contact(0x0100_0001 + (n << 8)));
        }
        (all, now)
    }

    #[test]
    fn the_nearest_are_those_that_a_look_at_all_finds() {
        let (all, now) = met(300);
        for key in 0..50 {
            let target = Place::from_bytes(crate::crypto::sha256(&[&[key]]));
            let distance = |contact: &Contact| target.distance(&contact.place());
            let mut found = all.nearest(now, &target, 8);
            found.sort_unstable_by_key(distance);
            let mut truly: Vec<_> = all.0.values().map(|it| it.contact).collect();
            truly.sort_unstable_by_key(distance);
            assert_eq!(found[..8], truly[..8]);
        }
    }

    #[test]
    fn a_ticket_is_as_old_as_the_answer_that_brought_it_and_not_as_the_last() {
        let (mut all, asked, start) = (Acquaintances::default(), contact(1), Instant::ORIGIN);
        all.handle_answer(start, asked);
        let last = start + TICKET_LIFE - Duration::from_secs(60);
        all.handle_answer(last, asked);
        assert!(all.knows(last, &asked));
        let over = start + TICKET_LIFE;
        assert!(!all.has_ticket(over, &asked) && !all.knows(over, &asked));
        assert_eq!(all.nearest(over, &asked.place(), 1), [asked], "it can be asked all the same");
        all.handle_answer(over, asked);
        assert!(all.knows(over + ACQUAINTED_FOR / 2, &asked), "which brings another");
    }

    #[test]
    fn who_answered_long_ago_gives_way_and_is_not_asked() {
        let most = u32::try_from(MAX_ACQUAINTANCES).unwrap();
        let (mut all, now) = met(most + 10);
        let everybody = |all: &Acquaintances, now| {
            all.nearest(now, &Place::from_bytes([7; 32]), usize::MAX).len()
        };
        let left = everybody(&all, now);
        assert!((MAX_ACQUAINTANCES * 3 / 4..=MAX_ACQUAINTANCES).contains(&left), "{left}");
        assert!(!all.knows(now, &contact(0x0100_0001)), "the first gave way");
        let last = contact(0x0100_0001 + ((most + 9) << 8));
        assert!(all.knows(now, &last));
        all.forget(&last);
        assert!(!all.knows(now, &last));
        assert_eq!(everybody(&all, now + ACQUAINTED_FOR), 0);
    }
}
