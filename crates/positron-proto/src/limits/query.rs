//! What bounds queries `[PROTOCOL 9.11]`.

use crate::time::Duration;

/// Bytes of a query without a ticket: what a SYN has room for behind a hello, beside the longest
/// cookie.
pub const MAX_COLD_QUERY: usize = 824;
/// Bytes of its answer: what a SYN_ACK of the size of a SYN has room for behind a hello and a
/// ticket. Twelve contacts of 71 bytes, and 45 more.
pub const MAX_COLD_ANSWER: usize = 897;
/// Bytes of a query with a ticket: what is left of [`LEAST_DATAGRAM`](super::LEAST_DATAGRAM).
pub const MAX_TICKETED_QUERY: usize = 1076;
/// Bytes of its answer: what is left of [`LEAST_DATAGRAM`](super::LEAST_DATAGRAM).
pub const MAX_TICKETED_ANSWER: usize = 1136;
/// Queries of ours that wait for their answers; about 4 KiB each (guess: 80 lookups of a dozen).
pub const MAX_QUERIES_UNDER_WAY: usize = 1024;
/// How long the answer to a query of ours is waited for, unless its asker gives it up before: ten
/// times what a lookup waits.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// Cookies that one query takes: an honest end sends one or two.
pub const MAX_QUERY_COOKIES: u32 = 2;
/// Queries of one address (IPv6: /64; loopback is not counted) that are answered in one second:
/// a lookup asks a node once.
pub const QUERIES_PER_ADDRESS: u32 = 50;
/// Queries from proven addresses that are answered in one second, in all. Without tickets they take
/// two fifths of a core (measured: 195 us each), with tickets a hundredth (4 us). Of addresses that
/// are not proven it is [`SYNS_PER_SECOND`](super::SYNS_PER_SECOND), with all other SYNs.
pub const QUERIES_PER_SECOND: u32 = 2000;
/// Addresses whose queries are counted in one second: all that ask within one.
pub const MAX_COUNTED_ASKERS: usize = 4096;
/// Queries of others that wait to be taken by the application: what one batch of datagrams brings.
pub const MAX_QUERIES_WAITING: usize = 64;
/// How long a ticket is good for.
pub const TICKET_LIFE: Duration = Duration::from_secs(3600);
/// How late a query with a ticket may arrive: a round trip, what the ticket leaves of a second, and
/// how far two clocks part in an hour (RFC 8446, 8.3 takes 10 s too). A query that somebody copied
/// is of no use after it.
pub const TICKET_LATENESS: Duration = Duration::from_secs(10);
/// How early: clocks that part by 100 parts in a million do by 0.36 s in an hour.
pub const TICKET_EARLINESS: Duration = Duration::from_secs(1);
/// Tickets that are kept, one for each node and address: about 1 MiB.
pub const MAX_TICKETS: usize = 4096;
/// Silence after which a query with a ticket is asked without one, in round trips of that node.
pub const TICKET_PATIENCE_RTTS: u32 = 2;
/// The same at the least: [`SYN_TIMEOUT`](super::SYN_TIMEOUT), for the same reason.
pub const TICKET_PATIENCE_LEAST: Duration = super::SYN_TIMEOUT;
/// The same at the most: a third of [`QUERY_TIMEOUT`].
pub const TICKET_PATIENCE_LONGEST: Duration = Duration::from_secs(1);
