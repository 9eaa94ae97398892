//! A path through this process: between a sender and a receiver, and as bad as it is told to be.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use positron_proto::rng::{Rng, Seed};
use socket2::{Domain, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

/// Of so many datagrams one comes twice, and one comes later than those behind it.
const REPEATED: f64 = 0.01;
const LATE: f64 = 0.02;
/// By how much.
const LATENESS: Duration = Duration::from_millis(2);
/// Bytes of the largest datagram that passes: that of Ethernet, over IPv4.
const LARGEST: usize = 1_472;

/// The relay; it ends with the runtime.
pub(crate) struct Relay {
    /// Where to send what is for the receiver.
    pub(crate) address: SocketAddr,
    passed: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    passed: AtomicU64,
    dropped: AtomicU64,
    too_large: AtomicU64,
    repeated: AtomicU64,
    late: AtomicU64,
}

impl Relay {
    /// Carries what arrives at its address to `receiver`, and the answers back; `percent` of the
    /// datagrams are lost, in each direction.
    pub(crate) async fn start(receiver: SocketAddr, percent: u8) -> Self {
        let (front, back) = (socket(), socket());
        let address = front.local_addr().unwrap();
        let (sender, fixed) = (Arc::<OnceLock<_>>::default(), Arc::new(OnceLock::from(receiver)));
        let passed = Arc::<Counts>::default();
        let seed = Seed::from_number(percent.into());
        let lane = |from: &Arc<UdpSocket>, to: &Arc<UdpSocket>, name: &str| Lane {
            from: from.clone(),
            to: to.clone(),
            loss: f64::from(percent) / 100.0,
            dice: seed.stream(name),
            counts: passed.clone(),
            late: BinaryHeap::new(),
        };
        let (there, back_again) = (lane(&front, &back, "there"), lane(&back, &front, "back"));
        tokio::spawn(there.carry(sender.clone(), fixed.clone()));
        tokio::spawn(back_again.carry(fixed, sender));
        Self { address, passed }
    }

    /// What it did.
    pub(crate) fn told(&self) -> String {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} datagrams passed, {} dropped, {} too large, {} repeated, {} late",
            load(&self.passed.passed),
            load(&self.passed.dropped),
            load(&self.passed.too_large),
            load(&self.passed.repeated),
            load(&self.passed.late),
        )
    }
}

/// One direction.
struct Lane {
    from: Arc<UdpSocket>,
    to: Arc<UdpSocket>,
    loss: f64,
    dice: Rng,
    counts: Arc<Counts>,
    /// When each goes on.
    late: BinaryHeap<Reverse<(Instant, Vec<u8>)>>,
}

impl Lane {
    /// `origin` is who speaks, once that is known; `target` who hears it.
    async fn carry(mut self, origin: Arc<OnceLock<SocketAddr>>, target: Arc<OnceLock<SocketAddr>>) {
        let mut buffer = vec![0; 65_536];
        loop {
            let now = Instant::now();
            while self.late.peek().is_some_and(|Reverse((due, _))| *due <= now) {
                let Some(Reverse((_, datagram))) = self.late.pop() else { break };
                self.pass(&datagram, &target);
            }
            let due = self.late.peek().map(|Reverse((due, _))| *due);
            let until = due.unwrap_or(now + Duration::from_secs(3600));
            if timeout_at(until, self.from.readable()).await.is_err() {
                continue;
            }
            // Many for each time that it is waited.
            for _ in 0..64 {
                match self.from.try_recv_from(&mut buffer) {
                    Ok((len, from)) => {
                        let _ = origin.set(from);
                        self.treat(&buffer[..len], &target);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("the relay cannot read: {error}"),
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn treat(&mut self, datagram: &[u8], target: &OnceLock<SocketAddr>) {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if datagram.len() > LARGEST {
            count(&self.counts.too_large);
            return;
        }
        if self.dice.chance(self.loss) {
            count(&self.counts.dropped);
            return;
        }
        if self.dice.chance(LATE) {
            count(&self.counts.late);
            let due = Instant::now() + self.dice.duration(Duration::ZERO..=LATENESS);
            self.late.push(Reverse((due, datagram.to_vec())));
            return;
        }
        self.pass(datagram, target);
        if self.dice.chance(REPEATED) {
            count(&self.counts.repeated);
            self.pass(datagram, target);
        }
    }

    fn pass(&self, datagram: &[u8], target: &OnceLock<SocketAddr>) {
        let Some(target) = target.get() else { return };
        // What the kernel does not take is lost, as on any path.
        if self.to.try_send_to(datagram, *target).is_ok() {
            self.counts.passed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn socket() -> Arc<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.set_nonblocking(true).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    Arc::new(UdpSocket::from_std(socket.into()).unwrap())
}
