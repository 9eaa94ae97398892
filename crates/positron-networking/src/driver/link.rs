//! One byte stream: a task that dials or takes over a connection, reads and writes it, ends it, and
//! says why it ended, exactly once.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use positron_proto::{
    id::LinkId,
    node::Input,
    session::sessions::{Hangup, LinkDown},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
};

use super::{Arrivals, CoreInput, complaint::lacks_descriptors};
use crate::limits::{FIRST_CHUNK, LAST_WORDS_TIMEOUT, MAX_CHUNK, SOCKET_FLUSH_TIMEOUT};

/// Where a link comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// We dial.
    Dial(SocketAddr, Duration),
    /// Somebody connected to us.
    Accepted(TcpStream),
}

/// What the core wants of a link. What waits here is bounded by the core's write window.
#[derive(Debug)]
pub(super) enum LinkOrder {
    Write(Bytes),
    Hangup(Hangup),
}

/// What a link's task and the core task share.
#[derive(Debug)]
pub(super) struct LinkShared {
    /// Whether the core handled the last chunk.
    pub(super) chunk_handled: Semaphore,
    /// Bytes that the kernel took since the core was told.
    pub(super) written: AtomicUsize,
}

/// The task of a link.
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) orders: mpsc::UnboundedReceiver<LinkOrder>,
    pub(super) shared: Arc<LinkShared>,
    pub(super) arrivals: Arrivals,
}

impl Link {
    /// From the first packet to the last.
    pub(super) async fn run(mut self, origin: Origin) {
        let reason = match origin {
            Origin::Accepted(stream) => self.converse(stream).await,
            Origin::Dial(to, limit) => match self.dial(to, limit).await {
                Ok(stream) => {
                    self.tell(Input::Connected { link: self.id, certificate: None });
                    self.converse(stream).await
                }
                Err(reason) => reason,
            },
        };
        self.tell(Input::LinkDown { link: self.id, reason });
    }

    fn tell(&self, input: Input) {
        // A core that is gone has no use for it.
        let _ = self.arrivals.send(CoreInput::Input(input));
    }

    async fn dial(&mut self, to: SocketAddr, limit: Duration) -> Result<TcpStream, LinkDown> {
        tokio::select! {
            connected = timeout(limit, TcpStream::connect(to)) => match connected {
                Ok(outcome) => outcome.map_err(|error| {
                    lacks_descriptors(&error);
                    down(&error)
                }),
                Err(_) => Err(LinkDown::TimedOut),
            },
            // Before a link is connected, hanging up is all that can be wanted.
            _ = self.orders.recv() => Err(LinkDown::HungUp),
        }
    }

    async fn converse(&mut self, stream: TcpStream) -> LinkDown {
        // Small messages must not wait for an acknowledgment of the ones before (RFC 896).
        if let Err(error) = stream.set_nodelay(true) {
            return down(&error);
        }
        let (mut read, mut write) = stream.into_split();
        let ended = {
            let mut reading = pin!(read_all(&read, self.id, &self.shared, &self.arrivals));
            let mut writer = Writer { id: self.id, shared: &self.shared, arrivals: &self.arrivals };
            let ended = tokio::select! {
                reason = &mut reading => return reason,
                ended = writer.write_all(&mut write, &mut self.orders) => ended,
            };
            if let WriteEnd::Failed(error) = &ended {
                // Why it closed may be there to be read.
                let last_words = timeout(LAST_WORDS_TIMEOUT, reading).await;
                return last_words.unwrap_or_else(|_| down(error));
            }
            ended
        };
        match ended {
            WriteEnd::Flushed(until) => tokio::select! {
                () = linger(&mut read, until) => {}
                () = aborted(&mut self.orders) => {}
            },
            // Without this the kernel would keep trying to send what is under way.
            WriteEnd::Aborted | WriteEnd::Failed(_) => drop(write.as_ref().set_zero_linger()),
        }
        LinkDown::HungUp
    }
}

/// Hands everything that arrives to the core, one chunk at a time: the next is read when the core
/// is done with the one before, so a flood fills the kernel's buffer and not ours.
async fn read_all(
    read: &OwnedReadHalf,
    link: LinkId,
    shared: &LinkShared,
    arrivals: &Arrivals,
) -> LinkDown {
    let mut size = FIRST_CHUNK;
    loop {
        match shared.chunk_handled.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return LinkDown::HungUp,
        }
        let bytes = match read_chunk(read, size).await {
            Ok(bytes) if bytes.is_empty() => return LinkDown::Eof,
            Ok(bytes) => bytes,
            Err(error) => return down(&error),
        };
        size = match bytes.len() {
            full if full >= size => (size * 2).min(MAX_CHUNK),
            some if some < size / 4 => (size / 2).max(FIRST_CHUNK),
            _ => size,
        };
        if arrivals.send(CoreInput::Input(Input::Bytes { link, bytes })).is_err() {
            return LinkDown::HungUp;
        }
    }
}

/// What is there, at most `size` bytes; nothing at the end. Memory is taken when bytes are there.
async fn read_chunk(read: &OwnedReadHalf, size: usize) -> io::Result<Bytes> {
    loop {
        read.readable().await?;
        let mut chunk = BytesMut::with_capacity(size);
        match read.try_read_buf(&mut chunk) {
            Ok(_) => return Ok(chunk.freeze()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// How writing ended.
enum WriteEnd {
    /// All was sent and the stream was closed for writing; the other end has until then.
    Flushed(Instant),
    /// At once.
    Aborted,
    Failed(io::Error),
}

struct Writer<'a> {
    id: LinkId,
    shared: &'a LinkShared,
    arrivals: &'a Arrivals,
}

impl Writer<'_> {
    /// Writes what is ordered, until a hangup or an error.
    async fn write_all(
        &mut self,
        write: &mut OwnedWriteHalf,
        orders: &mut mpsc::UnboundedReceiver<LinkOrder>,
    ) -> WriteEnd {
        let mut queue = VecDeque::new();
        loop {
            tokio::select! {
                // Orders first: what is ordered together is written together.
                biased;
                order = orders.recv() => match order {
                    Some(LinkOrder::Write(bytes)) => queue.push_back(bytes),
                    Some(LinkOrder::Hangup(Hangup::Flush)) => break,
                    Some(LinkOrder::Hangup(Hangup::Abort)) | None => return WriteEnd::Aborted,
                },
                written = write_some(write, &queue), if !queue.is_empty() => match written {
                    Ok(bytes) => self.took(&mut queue, bytes),
                    Err(error) => return WriteEnd::Failed(error),
                },
            }
        }
        let until = Instant::now() + SOCKET_FLUSH_TIMEOUT;
        let flushing = async {
            while !queue.is_empty() {
                let bytes = write_some(write, &queue).await?;
                self.took(&mut queue, bytes);
            }
            write.shutdown().await
        };
        tokio::select! {
            flushed = timeout_at(until, flushing) => match flushed {
                Ok(Ok(())) => WriteEnd::Flushed(until),
                Ok(Err(error)) => WriteEnd::Failed(error),
                Err(_) => WriteEnd::Aborted,
            },
            () = aborted(orders) => WriteEnd::Aborted,
        }
    }

    /// Reports that the kernel took `bytes` of the queue; reports are added up until the core reads
    /// them.
    fn took(&self, queue: &mut VecDeque<Bytes>, mut bytes: usize) {
        if self.shared.written.fetch_add(bytes, Ordering::AcqRel) == 0 && bytes > 0 {
            let _ = self.arrivals.send(CoreInput::Written(self.id));
        }
        while let Some(first) = queue.front_mut() {
            if first.len() > bytes {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            queue.pop_front();
        }
    }
}

async fn write_some(write: &mut OwnedWriteHalf, queue: &VecDeque<Bytes>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); 32];
    for (slice, bytes) in slices.iter_mut().zip(queue) {
        *slice = IoSlice::new(bytes);
    }
    let count = queue.len().min(slices.len());
    match write.write_vectored(&slices[..count]).await {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        outcome => outcome,
    }
}

/// The core needs the descriptor for somebody else, or is gone.
async fn aborted(orders: &mut mpsc::UnboundedReceiver<LinkOrder>) {
    while !matches!(orders.recv().await, Some(LinkOrder::Hangup(Hangup::Abort)) | None) {}
}

/// Waits for the other end to close too, and throws away what it still says: closing with unread
/// bytes would make the kernel send a reset that overtakes our last words.
async fn linger(read: &mut OwnedReadHalf, until: Instant) {
    let discard = async {
        while let Ok(bytes) = read_chunk(read, FIRST_CHUNK).await {
            if bytes.is_empty() {
                break;
            }
        }
    };
    // At the limit the link is closed all the same.
    let _ = timeout_at(until, discard).await;
}

/// An error of the operating system, in the core's words.
fn down(error: &io::Error) -> LinkDown {
    match error.kind() {
        ErrorKind::ConnectionRefused => LinkDown::Refused,
        ErrorKind::TimedOut => LinkDown::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            LinkDown::Reset
        }
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => LinkDown::Unreachable(error.to_string()),
        _ => LinkDown::Other(error.to_string()),
    }
}
