//! Lines that take their time, on kernels that have nothing for it: packets wait in a queue of the
//! packet filter until a thread of the test has them go on, as they are (`nfnetlink_queue`).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketType, bind,
        netlink::{NETFILTER, SocketAddrNetlink},
        recv, send, socket, sockopt,
    },
    time::Timespec,
};

/// How long a packet waits in each queue. Dropping it ends the thread; the packets that wait are
/// lost, and all that come to the queues later.
pub(crate) struct SlowLines {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    socket: OwnedFd,
    delays: Mutex<BTreeMap<u16, Duration>>,
    is_over: AtomicBool,
}

/// When which packet of which queue may go on. Of one queue those that came first have the lower
/// number.
type Waiting = BinaryHeap<Reverse<(Instant, u16, u32)>>;

impl SlowLines {
    /// For queues of the namespace in which it is called.
    pub(crate) fn new() -> Result<Self, String> {
        let in_words = |error| format!("netlink: {error}");
        let kind = SocketType::RAW;
        let socket = socket(AddressFamily::NETLINK, kind, Some(NETFILTER)).map_err(in_words)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(in_words)?;
        sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).map_err(in_words)?;
        let (delays, is_over) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { socket, delays, is_over });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Opens a queue in which each packet waits so long.
    pub(crate) fn open(&self, queue: u16, delay: Duration) -> Result<(), String> {
        self.shared.delays.lock().unwrap().insert(queue, delay);
        let command = [BIND, 0, 0, 0];
        let mut parameters = 0_u32.to_be_bytes().to_vec();
        parameters.push(COPY_META);
        let attributes: [(u16, &[u8]); 3] = [
            (CONFIG_COMMAND, &command),
            (CONFIG_PARAMETERS, &parameters),
            (CONFIG_LONGEST, &LONGEST.to_be_bytes()),
        ];
        self.shared.say(CONFIG, queue, &attributes)
    }
}

impl Drop for SlowLines {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

impl Shared {
    fn run(&self) {
        let mut waiting = Waiting::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let next = waiting.peek().map_or(LOOK, |Reverse((due, ..))| {
                due.saturating_duration_since(Instant::now()).min(LOOK)
            });
            let patience = Timespec::try_from(next).unwrap();
            poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&patience)).unwrap();
            self.take(&mut waiting);
            while let Some(Reverse((due, queue, packet))) = waiting.peek().copied() {
                if due > Instant::now() {
                    break;
                }
                waiting.pop();
                let verdict = [ACCEPT.to_be_bytes(), packet.to_be_bytes()].concat();
                // One that is not there any more was lost with its line.
                let _ = self.say(VERDICT, queue, &[(VERDICT_HEADER, &verdict)]);
            }
        }
    }

    /// Notes every packet that has come.
    fn take(&self, waiting: &mut Waiting) {
        let mut bytes = [0; LARGEST];
        loop {
            match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((_, length)) => {
                    let Some((queue, packet)) = arrived(&bytes[..length]) else { continue };
                    let delay = self.delays.lock().unwrap()[&queue];
                    waiting.push(Reverse((Instant::now() + delay, queue, packet)));
                }
                Err(Errno::WOULDBLOCK) => return,
                // More came than there was room for: as on any line, they are lost.
                Err(Errno::NOBUFS) => {}
                Err(error) => panic!("netlink: {error}"),
            }
        }
    }

    /// Tells the kernel something of a queue.
    fn say(&self, kind: u16, queue: u16, attributes: &[(u16, &[u8])]) -> Result<(), String> {
        let mut body = vec![0, 0];
        body.extend(queue.to_be_bytes());
        for (name, value) in attributes {
            let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap();
            body.extend([length.to_ne_bytes(), name.to_ne_bytes()].concat());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(REQUEST.to_ne_bytes());
        message.extend([0; 8]); // sequence and port: nothing is waited for
        message.extend(body);
        let sent = send(&self.socket, &message, SendFlags::empty());
        sent.map(drop).map_err(|error| format!("netlink: {error}"))
    }
}

/// Of a message about a packet: its queue, and its number there.
fn arrived(message: &[u8]) -> Option<(u16, u32)> {
    let (header, body) = message.split_at_checked(HEADER)?;
    let (of, attribute) = body.split_first_chunk::<4>()?;
    let (_, value) = attribute.split_first_chunk::<ATTRIBUTE_HEADER>()?;
    // The kernel puts it first.
    let packet = u32::from_be_bytes(*value.first_chunk()?);
    let is_packet = header[4..6] == PACKET.to_ne_bytes();
    is_packet.then_some((u16::from_be_bytes([of[2], of[3]]), packet))
}

/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(100);
/// As many packets may wait in one queue: about a second of a fast home line.
const LONGEST: u32 = 8_192;
/// Bytes of messages that wait for the thread.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Of a message about a packet, without the packet.
const LARGEST: usize = 4_096;

// Of linux/netlink.h.
const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const REQUEST: u16 = 1;

// Of linux/netfilter.h, linux/netfilter/nfnetlink.h and nfnetlink_queue.h.
const PACKET: u16 = 0x300;
const VERDICT: u16 = 0x301;
const CONFIG: u16 = 0x302;
const VERDICT_HEADER: u16 = 2;
const ACCEPT: u32 = 1;
const CONFIG_COMMAND: u16 = 1;
const CONFIG_PARAMETERS: u16 = 2;
const CONFIG_LONGEST: u16 = 3;
const BIND: u8 = 1;
const COPY_META: u8 = 1;
