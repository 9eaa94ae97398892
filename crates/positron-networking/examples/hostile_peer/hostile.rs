//! A peer with a valid identity, sessions of the protocol's own making and one link, that says what
//! it likes, as fast as the link takes it.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use positron_networking::NodeId;
use positron_proto::{
    handshake::{Expect, link_public_key},
    id::LinkId,
    identity::Identity,
    limits::MAX_SOFTWARE,
    peers::PeersMessage,
    rng::Seed,
    session::{
        Sessions,
        sessions::{
            DialRequest, DownReason, Effort, LinkDown, LinkKinds, NotSent, Purpose, Reading,
            SessionConfig, SessionEffect,
        },
    },
    time::{self, Now, WallTime},
    wire::{message::RoomMessage as _, record::PeerRecord},
};

use crate::attack::{Attack, MARKUP, Speaker};

/// Bytes in a microsecond that it tries to say: more than any node may say for long, and
/// little enough that sealing them leaves the machine to the nodes.
const PACE: u128 = 18;
/// Bytes that it puts into a session at a time.
const MOUTHFUL: usize = 256 * 1024;
/// Wait before it comes again when it was sent away.
const COMES_AGAIN: Duration = Duration::from_millis(100);
/// Wait when there is nothing to do.
const IDLE: Duration = Duration::from_micros(500);

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    /// Bytes that the kernel took.
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    pub(crate) sessions: u64,
    /// From the beginning of its first session to the end of its last one so far.
    pub(crate) lasted: Option<Duration>,
    /// When it was sent away first, counted from its first session, and what it was told.
    pub(crate) dropped: Option<(Duration, String)>,
    /// While it had a session.
    inside: Duration,
}

impl Deeds {
    /// So many of something, while it had a session.
    pub(crate) fn per_second(&self, number: u64) -> u64 {
        let micros = u64::try_from(self.inside.as_micros()).unwrap_or(u64::MAX).max(1);
        number.saturating_mul(1_000_000) / micros
    }
}

/// A hostile peer on a thread of its own.
pub(crate) struct Hostile {
    stop: Arc<AtomicBool>,
    out: Arc<AtomicBool>,
    thread: thread::JoinHandle<Deeds>,
}

impl Hostile {
    pub(crate) fn start(mind: Mind) -> Self {
        let (stop, out) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let thread = thread::spawn({
            let (stop, out) = (stop.clone(), out.clone());
            move || mind.live(&stop, &out)
        });
        Self { stop, out, thread }
    }

    /// Whether it was sent away and is not let in again.
    pub(crate) fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(self) -> Deeds {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the hostile peer does not panic")
    }
}

/// What it is going to do.
pub(crate) struct Mind {
    target: SocketAddr,
    me: Arc<Identity>,
    speaker: Speaker,
    sessions: Sessions,
    out: VecDeque<SessionEffect>,
    link: Option<Link>,
    origin: Instant,
    /// Since when it has a session, and since when it had its first.
    up: Option<Instant>,
    first: Option<Instant>,
    dial_at: Instant,
    deeds: Deeds,
}

struct Link {
    id: LinkId,
    stream: TcpStream,
    unwritten: VecDeque<Bytes>,
    is_read: bool,
    hangs_up: bool,
}

impl Mind {
    /// Makes up its mind, and signs so many messages and bytes in advance.
    pub(crate) fn new(
        target: SocketAddr,
        attack: Attack,
        honest: Vec<NodeId>,
        signed: (usize, usize),
    ) -> Self {
        let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
        let seed = Seed::from_number(nanos.into());
        // The speaker signs and the sessions shake hands: one name.
        let secret = seed.stream("identity").bytes();
        let me = Arc::new(Identity::from_seed(secret));
        let config = SessionConfig { transports: LinkKinds::TCP, ..SessionConfig::default() };
        let dice = seed.stream("speaker");
        let mut speaker = Speaker::new(attack, Identity::from_seed(secret), honest, dice);
        speaker.prepare(signed);
        let now = Instant::now();
        Self {
            target,
            speaker,
            sessions: Sessions::new(config, me.clone(), seed.stream("sessions")),
            me,
            out: VecDeque::new(),
            link: None,
            origin: now,
            up: None,
            first: None,
            dial_at: now,
            deeds: Deeds::default(),
        }
    }

    fn live(mut self, stop: &AtomicBool, is_out: &AtomicBool) -> Deeds {
        while !stop.load(Ordering::Relaxed) {
            let now = self.now();
            if self.link.is_none() && Instant::now() >= self.dial_at {
                self.dial(now);
            }
            let has_moved = self.speak(now) | self.write(now) | self.read(now);
            if self.sessions.poll_timeout().is_some_and(|at| at <= now.mono) {
                self.sessions.handle_timeout(now, &mut self.out);
            }
            self.sessions.flush(now, &mut self.out);
            self.settle(now, is_out);
            if !has_moved {
                #[expect(clippy::disallowed_methods, reason = "a thread that keeps its own pace")]
                thread::sleep(IDLE);
            }
        }
        if let Some(up) = self.up {
            self.deeds.inside += up.elapsed();
        }
        self.deeds
    }

    fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Now {
            mono: time::Instant::from_micros(micros(self.origin.elapsed())),
            wall: WallTime::from_unix_micros(micros(wall)),
        }
    }

    fn dial(&mut self, now: Now) {
        self.dial_at = Instant::now() + COMES_AGAIN;
        let (to, expect, purpose) = (self.target, Expect::Anyone, Purpose::Connect);
        let dial = DialRequest { to, expect, noise_static: None, purpose, effort: Effort::Full };
        self.sessions.dial(now, dial, &mut self.out);
    }

    /// Says as much as its pace and the session take.
    fn speak(&mut self, now: Now) -> bool {
        let Some(first) = self.first.filter(|_| self.up.is_some()) else { return false };
        if u128::from(self.deeds.bytes) > first.elapsed().as_micros() * PACE {
            return false;
        }
        let (to, mut said) = (self.speaker.target(), 0);
        while said < MOUTHFUL {
            let (lane, body) = self.speaker.next();
            let len = body.len();
            match self.sessions.send(now, to, lane, body.clone().into(), None, &mut self.out) {
                Ok(()) => {}
                Err(NotSent::QueueFull | NotSent::NotConnected) => {
                    self.speaker.put_back((lane, body));
                    break;
                }
                Err(NotSent::TooLarge) => unreachable!("no attack says more than a message holds"),
            }
            self.deeds.messages += 1;
            said += len;
        }
        said > 0
    }

    fn write(&mut self, now: Now) -> bool {
        let Some(link) = &mut self.link else { return false };
        let mut written = 0;
        let mut broken = None;
        while let Some(bytes) = link.unwritten.front_mut() {
            match link.stream.write(bytes) {
                Ok(count) => {
                    written += count;
                    drop(bytes.split_to(count));
                    if bytes.is_empty() {
                        link.unwritten.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        let (id, is_over) = (link.id, link.hangs_up && link.unwritten.is_empty());
        self.deeds.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        if written > 0 {
            self.sessions.handle_written(now, id, written, &mut self.out);
        }
        // What the other end said last is still to be read when it takes nothing any more.
        if is_over || (broken.is_some() && !self.read(now)) {
            self.lose(now);
        }
        written > 0
    }

    fn read(&mut self, now: Now) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| link.is_read) else { return false };
        let (id, mut chunk) = (link.id, vec![0; 64 * 1024]);
        match link.stream.read(&mut chunk) {
            Ok(0) => self.lose(now),
            Ok(count) => {
                chunk.truncate(count);
                self.sessions.handle_bytes(now, id, chunk.into(), &mut self.out);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.lose(now),
        }
        true
    }

    fn lose(&mut self, now: Now) {
        if let Some(link) = self.link.take() {
            self.sessions.handle_link_down(now, link.id, LinkDown::Reset, &mut self.out);
        }
    }

    fn settle(&mut self, now: Now, is_out: &AtomicBool) {
        while let Some(effect) = self.out.pop_front() {
            match effect {
                SessionEffect::Dial { link, to, .. } => self.connect(now, link, to),
                SessionEffect::Write { bytes, .. } => {
                    self.link.iter_mut().for_each(|link| link.unwritten.push_back(bytes.clone()));
                }
                SessionEffect::Read { reading, .. } => {
                    self.link.iter_mut().for_each(|link| link.is_read = reading == Reading::Open);
                }
                SessionEffect::Hangup { .. } => {
                    self.link.iter_mut().for_each(|link| link.hangs_up = true);
                }
                SessionEffect::Up(_) => self.come_in(now),
                SessionEffect::Down { reason, .. } => self.go(&reason),
                SessionEffect::DialEnded { .. } => {
                    let is_refused = self.up.is_none() && self.deeds.dropped.is_some();
                    is_out.store(is_refused, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }

    fn connect(&mut self, now: Now, id: LinkId, to: SocketAddr) {
        let connected = TcpStream::connect(to).and_then(|stream| {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => {
                let unwritten = VecDeque::new();
                self.link = Some(Link { id, stream, unwritten, is_read: true, hangs_up: false });
                self.sessions.handle_connected(now, id, None, &mut self.out);
            }
            Err(_) => self.sessions.handle_link_down(now, id, LinkDown::Refused, &mut self.out),
        }
    }

    /// Introduces itself, as everybody does.
    fn come_in(&mut self, now: Now) {
        let began = Instant::now();
        self.up = Some(began);
        self.first.get_or_insert(began);
        self.deeds.sessions += 1;
        let record = PeerRecord {
            key: *self.me.public_key(),
            sequence: now.wall.as_unix_micros(),
            noise_static: link_public_key(&self.me),
            capabilities: 0,
            addresses: Vec::new(),
            carriers: Vec::new(),
            software: MARKUP.chars().take(MAX_SOFTWARE).collect(),
        };
        let record = self.me.sign(record, &SessionConfig::default().network).claim().clone();
        let (observed, peers) = (self.target.into(), Vec::new());
        let hello = PeersMessage::Hello { answer: false, record, observed, peers };
        let (to, lane, body) = (self.speaker.target(), hello.lane(), hello.encode());
        let sent = self.sessions.send(now, to, lane, body.into(), None, &mut self.out);
        sent.expect("a new session has room for a hello");
    }

    fn go(&mut self, reason: &DownReason) {
        let (Some(up), Some(first)) = (self.up.take(), self.first) else { return };
        self.deeds.inside += up.elapsed();
        self.deeds.lasted = Some(first.elapsed());
        self.deeds.dropped.get_or_insert((first.elapsed(), reason.to_string()));
        self.dial_at = Instant::now() + COMES_AGAIN;
    }
}
