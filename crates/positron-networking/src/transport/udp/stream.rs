//! Streams of bytes within a UDP connection.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use positron_proto::datagram::contract::{NotQueued, StreamId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    super::{Connection, TransportSendError},
    machine::Udp,
};

/// The end of a stream that is written to.
///
/// Bytes arrive in order, however many there are, and wait here while the other end does not read.
///
/// **Its end.** [`finish`](Self::finish) (or `shutdown`, which is the same) says that it is whole.
/// Dropped after that, the rest still goes out, and the reader comes to a clean end. Dropped
/// before, the stream is reset with code 0, as by [`reset`](Self::reset): its reader hears
/// [`TransportSendError::StreamReset`], never a shortened stream that looks whole. A connection
/// that ends before the stream does is an error to both ends, too.
///
/// A stream is a handle of its connection.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::transport::{Expect, TransportSendError, UdpTransport};
/// use tokio::io::AsyncWriteExt as _;
///
/// let alice = UdpTransport::bind("127.0.0.1:0").await?;
/// let bob = UdpTransport::bind("127.0.0.1:0").await?;
/// let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
/// let from_alice = bob.accept().await.unwrap();
///
/// let mut half = to_bob.open_stream(8)?;
/// half.write_all(b"half of it").await?;
/// half.reset(7);
/// let mut reading = from_alice.accept_stream().await.unwrap();
/// let why = loop {
///     match reading.recv(1024).await {
///         Ok(Some(_)) => {} // what came before
///         Ok(None) => panic!("it looks whole"),
///         Err(why) => break why,
///     }
/// };
/// assert_eq!(why, TransportSendError::StreamReset { code: 7 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct SendStream {
    connection: Connection<Udp>,
    id: StreamId,
    finished: bool,
}

/// The end of a stream that is read from.
///
/// What is not read is not sent either, beyond what flow control allows. Dropped before its end it
/// is refused with code 0, as by [`stop`](Self::stop): its writer hears
/// [`TransportSendError::StreamStopped`].
#[derive(Debug)]
pub struct RecvStream {
    connection: Connection<Udp>,
    id: StreamId,
    /// How it ended, once it did: whoever asks again hears the same.
    end: Option<Result<(), TransportSendError>>,
    /// Read and not yet taken.
    rest: Bytes,
}

impl SendStream {
    pub(super) const fn new(connection: Connection<Udp>, id: StreamId) -> Self {
        Self { connection, id, finished: false }
    }

    /// Counts the streams that this end opened, from 1.
    pub const fn number(&self) -> u64 {
        self.id.number
    }

    /// Nothing more is written. What was written is still sent; wait for
    /// [`flush`](super::UdpConnection::flush) to know that it arrived.
    ///
    /// # Errors
    /// The connection is over, or the other end wants no more of the stream.
    pub fn finish(&mut self) -> Result<(), TransportSendError> {
        if self.finished {
            return Ok(());
        }
        let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
        let outcome = self
            .connection
            .guard
            .act(|machine, now| machine.endpoint.finish_stream(now, connection, stream));
        outcome.map_err(|why| self.error(why))?;
        self.finished = true;
        Ok(())
    }

    /// Gives the stream up, also if it is finished: what did not arrive is dropped, and the reader
    /// that has not come to the end hears [`TransportSendError::StreamReset`] with this code, which
    /// means what the application says.
    pub fn reset(mut self, code: u32) {
        self.give_up(code);
        self.finished = true;
    }

    fn give_up(&self, code: u32) {
        let Connection { guard, channel } = &self.connection;
        let stream = self.id;
        guard.act(|machine, now| {
            machine.endpoint.drop_stream(now, channel.endpoint_id, stream, code);
        });
    }

    /// The machine's reason, or the other end's.
    fn error(&self, why: NotQueued) -> TransportSendError {
        let channel = &self.connection.channel;
        match channel.stopped(self.id) {
            Some(code) if why == NotQueued::StreamClosed => {
                TransportSendError::StreamStopped { code }
            }
            _ => TransportSendError::new(why, channel.closed()),
        }
    }

    fn poll_some(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, TransportSendError>> {
        let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
        let taken = self.connection.guard.act_coalesced(|machine, now| {
            let taken = machine.endpoint.write_stream(now, connection, stream, bytes);
            match taken {
                Ok(0) if !bytes.is_empty() => {
                    self.connection.channel.wait_for_stream(stream, cx.waker());
                }
                Ok(_) => self.connection.channel.sent(),
                Err(_) => {}
            }
            taken
        });
        match taken {
            Ok(0) if !bytes.is_empty() => Poll::Pending,
            Ok(taken) => Poll::Ready(Ok(taken)),
            Err(why) => Poll::Ready(Err(self.error(why))),
        }
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let taken = ready!(self.poll_some(cx, bytes))?;
        turn.made_progress();
        Poll::Ready(Ok(taken))
    }

    /// Nothing is kept back, so there is nothing to do.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish().map_err(Into::into))
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if !self.finished {
            self.give_up(0);
        }
        self.connection.channel.forget_stream(self.id);
    }
}

impl RecvStream {
    pub(super) const fn new(connection: Connection<Udp>, id: StreamId) -> Self {
        Self { connection, id, end: None, rest: Bytes::new() }
    }

    /// Counts the streams that the other end opened, from 1.
    pub const fn number(&self) -> u64 {
        self.id.number
    }

    /// The next bytes, at most `limit` of them, as soon as there are some; `None` at the end.
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection is over before the end of the stream, or the other end gave it up.
    pub async fn recv(&mut self, limit: usize) -> Result<Option<Bytes>, TransportSendError> {
        poll_fn(|cx| self.poll_some(cx, limit)).await
    }

    /// Tells the writer that nothing more is read, and why, by a code of the application's own.
    /// Does nothing to a stream that has ended.
    pub fn stop(mut self, code: u32) {
        self.stop_reading(code);
    }

    fn stop_reading(&mut self, code: u32) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(Err(TransportSendError::StreamClosed));
        let Connection { guard, channel } = &self.connection;
        let stream = self.id;
        guard.act(|machine, now| {
            machine.endpoint.drop_stream(now, channel.endpoint_id, stream, code);
            channel.forget_stream(stream);
            machine.close_if_read(now, channel);
        });
    }

    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Option<Bytes>, TransportSendError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(self.rest.split_to(limit.min(self.rest.len())))));
        }
        if let Some(end) = &self.end {
            return Poll::Ready(end.clone().map(|()| None));
        }
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
        let channel = &self.connection.channel;
        let read = self.connection.guard.act(|machine, now| {
            let read = machine.endpoint.read_stream(now, connection, stream, limit.max(1));
            let read = match read {
                // The machine remembers it for a while, but nothing more comes.
                Ok(Some(bytes)) if bytes.is_empty() && channel.closed().is_some() => {
                    Err(NotQueued::Closed)
                }
                read => read,
            };
            match &read {
                Ok(Some(bytes)) if bytes.is_empty() => channel.wait_for_stream(stream, cx.waker()),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    channel.forget_stream(stream);
                    machine.close_if_read(now, channel);
                }
            }
            read
        });
        let read = match read {
            Ok(Some(bytes)) if bytes.is_empty() => return Poll::Pending,
            Ok(bytes) => Ok(bytes),
            Err(why) => Err(TransportSendError::new(why, self.connection.channel.closed())),
        };
        turn.made_progress();
        match &read {
            Ok(Some(_)) => {}
            Ok(None) => self.end = Some(Ok(())),
            Err(why) => self.end = Some(Err(why.clone())),
        }
        Poll::Ready(read)
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(mut bytes) = ready!(self.poll_some(cx, buf.remaining()))? {
            let taken = bytes.split_to(bytes.len().min(buf.remaining()));
            buf.put_slice(&taken);
            self.rest = bytes;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.stop_reading(0);
    }
}
