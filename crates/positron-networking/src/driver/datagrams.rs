//! One UDP socket for all datagram connections: many datagrams a call, in both directions, where
//! the kernel can (GSO, GRO and recvmmsg, all by `quinn-udp`, which also forbids fragmentation).
//!
//! Sending is never fatal: what cannot be sent is lost, as on any network, and counted.

use std::{
    array,
    collections::BTreeSet,
    io::{self, ErrorKind, IoSliceMut},
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use positron_proto::limits::{MAX_BATCH, MAX_SEGMENTS};
use quinn_udp::{RecvMeta, UdpSocketState};
use socket2::{Protocol, SockRef, Type};
use tokio::{io::Interest, net::UdpSocket};

use super::{complaint::Complaint, dual_stack, source_addresses::SourceAddresses};
use crate::limits::{DATAGRAM_SLOT, DATAGRAM_SLOTS, MAX_NO_WAY, SOCKET_BUFFER};

/// The socket.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    io: UdpSocket,
    state: UdpSocketState,
    is_ipv6: bool,
    /// Of a socket that takes every address of this machine.
    sources: Option<SourceAddresses>,
    unsent: Unsent,
    no_way: NoWay,
}

/// Addresses to which the kernel said that there is no way, and nobody has asked since.
#[derive(Debug, Default)]
struct NoWay {
    is_any: AtomicBool,
    addresses: Mutex<BTreeSet<SocketAddr>>,
}

/// How far a batch got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// To its end.
    All,
    /// To this byte: the kernel's buffer is full. Wait until [`DatagramSocket::writable`].
    Until(usize),
}

/// How much there was to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// All of it. Wait until [`DatagramSocket::readable`].
    All,
    /// Probably not all of it.
    More,
}

impl DatagramSocket {
    /// Takes the port, and tells which one it got. `[::]` takes both families, or IPv4 where there
    /// is no IPv6. Nothing can be sent before [`writable`](Self::writable) said so once.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        dual_stack::bind(address, Self::bind_one)
    }

    fn bind_one(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let socket = dual_stack::socket(address, Type::DGRAM, Protocol::UDP)?;
        // A kernel that grants less has its reasons; nothing depends on it but speed.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&address.into())?;
        let io = UdpSocket::from_std(socket.into())?;
        let bound = io.local_addr()?;
        let state = UdpSocketState::new((&io).into())?;
        Ok((
            Self {
                io,
                state,
                is_ipv6: bound.is_ipv6(),
                sources: bound.ip().is_unspecified().then(SourceAddresses::default),
                unsent: Unsent::new(),
                no_way: NoWay::default(),
            },
            bound,
        ))
    }

    /// Datagrams that one batch may have now: 1 where the kernel takes no more.
    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments().clamp(1, MAX_SEGMENTS)
    }

    /// Sends datagrams of `segment_size` bytes (the last may be shorter) that follow one another in
    /// `bytes`, as far as the kernel takes them now.
    pub(crate) fn try_send(&self, to: SocketAddr, segment_size: usize, bytes: &[u8]) -> Sent {
        let destination = self.as_destination(to);
        let size = segment_size.max(1);
        let sources = self.sources.as_ref();
        let mut source = sources.and_then(|sources| sources.source_for(destination));
        let mut at = 0;
        while at < bytes.len() {
            let segments = self.max_segments().min(MAX_BATCH / size).max(1);
            let end = bytes.len().min(at + segments * size);
            let batch = quinn_udp::Transmit {
                destination,
                ecn: None,
                contents: &bytes[at..end],
                segment_size: (segments > 1).then_some(size),
                src_ip: source,
            };
            let send = || self.state.try_send((&self.io).into(), &batch);
            match self.io.try_io(Interest::WRITABLE, send) {
                Ok(()) => at = end,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Until(at),
                // The driver of the network refuses batches: quinn-udp has noted it, and the same
                // bytes go again one by one.
                Err(_) if segments > self.max_segments() => {}
                // That address of ours is gone: the same bytes go from another one.
                Err(_) if source.is_some() => {
                    source = None;
                    sources.into_iter().for_each(|sources| sources.forget(destination));
                }
                Err(error) => {
                    self.unsent.note(to, size.min(end - at), &error);
                    if leads_nowhere(&error) {
                        self.no_way.note(to);
                    }
                    at = end;
                }
            }
        }
        Sent::All
    }

    /// Sends a datagram that goes no further than so many hops: the socket says so as long as it
    /// takes to send it, so nobody else may send meanwhile. What the kernel does not take now is
    /// lost. It may be the first that is sent.
    pub(crate) fn send_not_far(&self, to: SocketAddr, hops: u8, datagram: &[u8]) {
        let destination = self.as_destination(to);
        let one = quinn_udp::Transmit {
            destination,
            ecn: None,
            contents: datagram,
            segment_size: None,
            src_ip: self.sources.as_ref().and_then(|sources| sources.source_for(destination)),
        };
        let sent = self.change_hops(to, hops.into()).and_then(|usual| {
            // Whether the runtime has heard of a new socket makes no difference.
            let sent = self.state.try_send((&self.io).into(), &one);
            self.change_hops(to, usual).and(sent)
        });
        if let Err(error) = sent {
            self.unsent.note(to, datagram.len(), &error);
        }
    }

    /// Has datagrams to addresses of this family go so many hops (`IP_TTL`, `IPV6_UNICAST_HOPS`);
    /// how many they went before. Those to IPv4 from an IPv6 socket obey what is said for IPv4.
    fn change_hops(&self, to: SocketAddr, hops: u32) -> io::Result<u32> {
        let socket = SockRef::from(&self.io);
        if to.is_ipv4() {
            let before = socket.ttl_v4()?;
            socket.set_ttl_v4(hops)?;
            Ok(before)
        } else {
            let before = socket.unicast_hops_v6()?;
            socket.set_unicast_hops_v6(hops)?;
            Ok(before)
        }
    }

    /// Reads what is there, at most one [`Batch`].
    pub(crate) fn try_recv(&self, batch: &mut Batch) -> io::Result<Arrived> {
        batch.filled = 0;
        let mut free = batch.memory.chunks_exact_mut(DATAGRAM_SLOT);
        let mut slots: [_; DATAGRAM_SLOTS] =
            array::from_fn(|_| IoSliceMut::new(free.next().unwrap_or_default()));
        let filled = &mut batch.filled;
        let outcome = self.io.try_io(Interest::READABLE, || {
            *filled = self.state.recv((&self.io).into(), &mut slots, &mut batch.metas)?;
            // A batch that is not full is the last one: this saves the call that would say so.
            if *filled < DATAGRAM_SLOTS { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        self.note_sources(&batch.metas[..batch.filled]);
        match outcome {
            Ok(()) => Ok(Arrived::More),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Arrived::All),
            Err(error) => Err(error),
        }
    }

    /// Where others speak to us is noted, so that they are answered from there.
    fn note_sources(&self, metas: &[RecvMeta]) {
        let Some(sources) = &self.sources else { return };
        for meta in metas {
            if let Some(at) = meta.dst_ip {
                sources.note(meta.addr, at);
            }
        }
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// The same, for whoever waits for several sockets.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_recv_ready(cx)
    }

    /// Waits until the kernel takes datagrams again.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Datagrams, or batches of them, that the kernel refused: because of their size, and for other
    /// reasons.
    pub(crate) fn unsent(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.unsent.too_large), load(&self.unsent.others))
    }

    /// Whether [`take_no_way`](Self::take_no_way) has something to tell.
    pub(crate) fn has_no_way(&self) -> bool {
        self.no_way.is_any.load(Ordering::Relaxed)
    }

    /// To where the kernel said since the last call that there is no way, or that this socket
    /// cannot send there.
    pub(crate) fn take_no_way(&self) -> BTreeSet<SocketAddr> {
        // Nearly always: no lock for each batch.
        if !self.no_way.is_any.swap(false, Ordering::Relaxed) {
            return BTreeSet::new();
        }
        std::mem::take(&mut *self.no_way.lock())
    }

    /// An IPv6 socket reaches IPv4 by mapped addresses (RFC 3493, 3.7).
    fn as_destination(&self, to: SocketAddr) -> SocketAddr {
        match to.ip() {
            IpAddr::V4(ip) if self.is_ipv6 => (ip.to_ipv6_mapped(), to.port()).into(),
            _ => to,
        }
    }
}

/// Memory for what one call can read, used again and again: by one socket after the other, so that
/// one that nobody speaks to holds none of it.
#[derive(Debug)]
pub(crate) struct Batch {
    memory: Vec<u8>,
    metas: [RecvMeta; DATAGRAM_SLOTS],
    filled: usize,
}

/// Datagrams from one address: each has `segment_size` bytes but the last, which may have less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagrams<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) segment_size: usize,
    pub(crate) bytes: &'a [u8],
}

/// Batches that nobody uses: as many as were ever used at once, which is one for each thread that
/// reads.
static UNUSED: Mutex<Vec<Batch>> = Mutex::new(Vec::new());

impl Batch {
    /// Lends one for one turn. The one that was used last goes first, while the processor's cache
    /// has it.
    pub(crate) fn lend<R>(turn: impl FnOnce(&mut Self) -> R) -> R {
        let unused = || UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = unused().pop();
        let mut batch = lent.unwrap_or_else(Self::new);
        let result = turn(&mut batch);
        unused().push(batch);
        result
    }

    fn new() -> Self {
        let memory = vec![0; DATAGRAM_SLOT * DATAGRAM_SLOTS];
        Self { memory, metas: [RecvMeta::default(); DATAGRAM_SLOTS], filled: 0 }
    }

    /// What was read, in the order of its arrival.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Datagrams<'_>> {
        let slots = self.memory.chunks_exact(DATAGRAM_SLOT);
        slots.zip(&self.metas).take(self.filled).map(|(slot, meta)| Datagrams {
            from: canonical(meta.addr),
            segment_size: meta.stride.max(1),
            bytes: &slot[..meta.len.min(slot.len())],
        })
    }
}

/// An IPv4 address on an IPv6 socket is still an IPv4 address; an IPv6 address keeps its scope.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

impl NoWay {
    /// One of which there is no room to tell runs to its timeout.
    fn note(&self, to: SocketAddr) {
        let mut addresses = self.lock();
        if addresses.len() < MAX_NO_WAY {
            addresses.insert(to);
            self.is_any.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kernel refused. A network that is down refuses everything.
#[derive(Debug)]
struct Unsent {
    too_large: AtomicU64,
    others: AtomicU64,
    complaint: Mutex<Complaint>,
}

impl Unsent {
    const fn new() -> Self {
        let complaint = Mutex::new(Complaint::new());
        Self { too_large: AtomicU64::new(0), others: AtomicU64::new(0), complaint }
    }

    fn note(&self, to: SocketAddr, size: usize, error: &io::Error) {
        // The search for the largest datagram lives from it: nothing to complain of.
        if quinn_udp::is_msg_size_err(error) {
            self.too_large.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.others.fetch_add(1, Ordering::Relaxed);
        // Addresses are other people's word: nobody here can do anything about one that leads
        // nowhere. Who dialled it is told, as of a dial that nobody answers.
        if leads_nowhere(error) {
            tracing::debug!(%to, %error, "no datagram gets there");
            return;
        }
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(withheld) = complaint.due(Instant::now()) {
            tracing::warn!("{size} bytes cannot be sent to {to}: {error}{withheld}");
        }
    }
}

/// Whether it is the address: there is no way to it, or this socket has none to addresses of its
/// kind.
fn leads_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::AddrNotAvailable
            | ErrorKind::InvalidInput
    ) || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// An address of another family than the socket's.
#[cfg(any(target_os = "linux", target_os = "android"))]
const EAFNOSUPPORT: i32 = 97;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const EAFNOSUPPORT: i32 = 47;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    async fn socket(address: &str) -> (DatagramSocket, SocketAddr) {
        let (socket, bound) = DatagramSocket::bind(address.parse().unwrap()).unwrap();
        socket.writable().await.unwrap();
        (socket, bound)
    }

    /// Datagrams until there are `count`, each with where it comes from.
    async fn receive(socket: &DatagramSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let (mut batch, mut received) = (Batch::new(), Vec::new());
        let receiving = async {
            while received.len() < count {
                socket.readable().await.unwrap();
                socket.try_recv(&mut batch).unwrap();
                for some in batch.datagrams() {
                    let cut = some.bytes.chunks(some.segment_size);
                    received.extend(cut.map(|one| (some.from, one.to_vec())));
                }
            }
        };
        timeout(DEADLINE, receiving).await.expect("all of them arrive");
        received
    }

    fn numbered(count: u8, size: usize) -> Vec<u8> {
        (0..count).flat_map(|n| vec![n; size]).collect()
    }

    #[tokio::test]
    async fn a_batch_arrives_as_the_datagrams_it_was_made_of() {
        let ((from, sender), (to, receiver)) =
            (socket("127.0.0.1:0").await, socket("127.0.0.1:0").await);
        let mut bytes = numbered(40, 1_200);
        bytes.extend([99; 7]);
        assert_eq!(from.try_send(receiver, 1_200, &bytes), Sent::All);
        let received = receive(&to, 41).await;
        assert!(received.iter().all(|(address, _)| *address == sender));
        let received: Vec<u8> = received.into_iter().flat_map(|(_, one)| one).collect();
        assert_eq!(received, bytes);
        assert_eq!(from.unsent(), (0, 0));
    }

    #[tokio::test]
    async fn without_batches_the_same_datagrams_arrive() {
        let ((from, _), (to, receiver)) =
            (socket("127.0.0.1:0").await, socket("127.0.0.1:0").await);
        for one in numbered(20, 1_200).chunks(1_200) {
            assert_eq!(from.try_send(receiver, one.len(), one), Sent::All);
        }
        let received = receive(&to, 20).await;
        let numbers: Vec<u8> = received.iter().map(|(_, one)| one[0]).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_batch_above_what_the_kernel_takes_is_cut() {
        let ((from, _), (to, receiver)) =
            (socket("127.0.0.1:0").await, socket("127.0.0.1:0").await);
        let bytes = numbered(20, 16_000);
        assert_eq!(from.try_send(receiver, 16_000, &bytes), Sent::All);
        let received = receive(&to, 20).await;
        assert!(received.iter().all(|(_, one)| one.len() == 16_000));
        assert_eq!(from.unsent(), (0, 0));
    }

    #[tokio::test]
    async fn ipv6_works_and_an_ipv4_address_on_it_stays_one() {
        let Ok((dual, bound)) = DatagramSocket::bind("[::]:0".parse().unwrap()) else {
            return; // no IPv6 here
        };
        dual.writable().await.unwrap();
        let (v4, v4_address) = socket("127.0.0.1:0").await;
        let dual_v4 = SocketAddr::from(([127, 0, 0, 1], bound.port()));
        assert_eq!(v4.try_send(dual_v4, 3, b"one"), Sent::All);
        assert_eq!(receive(&dual, 1).await, [(v4_address, b"one".to_vec())]);
        assert_eq!(dual.try_send(v4_address, 3, b"two"), Sent::All);
        assert_eq!(receive(&v4, 1).await, [(dual_v4, b"two".to_vec())]);
        let (v6, v6_address) = socket("[::1]:0").await;
        let dual_v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, bound.port()));
        assert_eq!(v6.try_send(dual_v6, 5, b"three"), Sent::All);
        assert_eq!(receive(&dual, 1).await, [(v6_address, b"three".to_vec())]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn whoever_speaks_to_one_of_many_addresses_is_answered_from_there() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let (socket, bound) = DatagramSocket::bind(any.parse().unwrap()).unwrap();
            socket.writable().await.unwrap();
            let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            for at in ["127.0.0.2", "127.0.0.1", "127.0.0.3"] {
                let at = SocketAddr::new(at.parse().unwrap(), bound.port());
                stranger.send_to(b"hello", at).unwrap();
                socket.readable().await.unwrap();
                let mut batch = Batch::new();
                socket.try_recv(&mut batch).unwrap();
                let from = batch.datagrams().next().unwrap().from;
                assert_eq!(socket.try_send(from, 5, b"hello"), Sent::All);
                let (len, answered) = stranger.recv_from(&mut [0; 8]).unwrap();
                assert_eq!((len, answered), (5, at), "{any}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_datagram_goes_as_many_hops_as_is_said_and_the_next_one_as_far_as_it_gets() {
        use socket2::{Domain, Socket};

        const AF_PACKET: i32 = 17;
        const SOCK_DGRAM: i32 = 2;
        const ETH_P_ALL: u16 = 0x0003;

        let everything = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let wire = Socket::new(Domain::from(AF_PACKET), Type::from(SOCK_DGRAM), Some(everything));
        let Ok(wire) = wire else {
            eprintln!("skipped: it takes root to see how far a packet goes");
            return;
        };
        wire.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut wire = std::fs::File::from(std::os::fd::OwnedFd::from(wire));
        // The tests beside this one may fill the memory for what is seen: then it is sent again.
        let mut hops_of = |word: &str, send: &dyn Fn(&[u8])| {
            let end = Instant::now() + DEADLINE;
            let mut packet = [0; 2_048];
            send(word.as_bytes());
            while Instant::now() < end {
                match io::Read::read(&mut wire, &mut packet) {
                    // RFC 791, 3.1; RFC 8200, 3.
                    Ok(length) if packet[..length].ends_with(word.as_bytes()) => {
                        return if packet[0] >> 4 == 4 { packet[8] } else { packet[7] };
                    }
                    Ok(_) => {}
                    Err(_) => send(word.as_bytes()),
                }
            }
            panic!("{word}: it was not seen on the wire");
        };
        for (from, to) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")]
        {
            let (Ok((from, _)), Ok((_to, receiver))) = (
                DatagramSocket::bind(from.parse().unwrap()),
                DatagramSocket::bind(to.parse().unwrap()),
            ) else {
                continue; // no IPv6 here
            };
            for hops in [1, 2, 7] {
                let word = format!("{receiver} after {hops} hops");
                let near = |word: &[u8]| from.send_not_far(receiver, hops, word);
                assert_eq!(hops_of(&word, &near), hops, "{word}");
                from.writable().await.unwrap();
                let word = format!("{receiver}, far after {hops}");
                let far = |word: &[u8]| _ = from.try_send(receiver, word.len(), word);
                assert_eq!(hops_of(&word, &far), 64, "{word}");
            }
            from.send_not_far(receiver, 0, b"none");
            assert_eq!(from.unsent(), (0, u64::from(receiver.is_ipv4())), "no hop is no way");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_counted_and_harms_nothing() {
        let ((from, _), (to, receiver)) =
            (socket("127.0.0.1:0").await, socket("127.0.0.1:0").await);
        let larger_than_loopback_takes = vec![0; 65_507];
        let wrong_family = "[2001:db8::1]:9".parse().unwrap();
        assert_eq!(from.try_send(wrong_family, 3, b"one"), Sent::All);
        assert_eq!(from.try_send(wrong_family, 3, b"two"), Sent::All);
        assert_eq!(from.unsent().1, 2);
        from.try_send(receiver, larger_than_loopback_takes.len(), &larger_than_loopback_takes);
        assert_eq!(from.try_send(receiver, 5, b"three"), Sent::All);
        let received = receive(&to, 1).await;
        assert!(received.iter().any(|(_, one)| one == b"three" || one.len() == 65_507));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error() {
        let (_socket, bound) = socket("127.0.0.1:0").await;
        let again = DatagramSocket::bind(bound).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
    }
}
