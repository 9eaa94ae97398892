//! Streams of bytes within a UDP connection.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use positron_proto::datagram::contract::StreamId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    super::{Connection, TransportSendError},
    machine::Udp,
};

/// The end of a stream that is written to.
///
/// Bytes arrive in order, however many there are, and wait here while the other end does not read.
/// [`finish`](Self::finish) (or `shutdown`) says that it is whole; a stream that is dropped before
/// that is given up, and its reader hears an error.
#[derive(Debug)]
pub struct SendStream {
    connection: Connection<Udp>,
    id: StreamId,
    finished: bool,
}

/// The end of a stream that is read from.
///
/// What is not read is not sent either, beyond what flow control allows. A stream that is dropped
/// before its end is refused: its writer hears an error.
#[derive(Debug)]
pub struct RecvStream {
    connection: Connection<Udp>,
    id: StreamId,
    ended: bool,
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
        outcome.map_err(|why| TransportSendError::new(why, self.connection.channel.closed()))?;
        self.finished = true;
        Ok(())
    }

    fn poll_some(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, TransportSendError>> {
        let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
        let taken = self.connection.guard.act_coalesced(|machine, now| {
            let taken = machine.endpoint.write_stream(now, connection, stream, bytes);
            match taken {
                Ok(0) if !bytes.is_empty() => {
                    self.connection.channel.wait_for_stream(stream, cx.waker())
                }
                Ok(_) => self.connection.channel.sent(),
                Err(_) => {}
            }
            taken
        });
        match taken {
            Ok(0) if !bytes.is_empty() => Poll::Pending,
            Ok(taken) => Poll::Ready(Ok(taken)),
            Err(why) => {
                Poll::Ready(Err(TransportSendError::new(why, self.connection.channel.closed())))
            }
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
        self.connection.channel.forget_stream(self.id);
        if !self.finished {
            let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
            self.connection
                .guard
                .act(|machine, now| machine.endpoint.drop_stream(now, connection, stream));
        }
    }
}

impl RecvStream {
    pub(super) const fn new(connection: Connection<Udp>, id: StreamId) -> Self {
        Self { connection, id, ended: false, rest: Bytes::new() }
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

    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Option<Bytes>, TransportSendError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(self.rest.split_to(limit.min(self.rest.len())))));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
        let channel = &self.connection.channel;
        let read = self.connection.guard.act(|machine, now| {
            let read = machine.endpoint.read_stream(now, connection, stream, limit.max(1));
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
        match &read {
            Ok(Some(bytes)) if bytes.is_empty() => return Poll::Pending,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => self.ended = true,
        }
        turn.made_progress();
        Poll::Ready(
            read.map_err(|why| TransportSendError::new(why, self.connection.channel.closed())),
        )
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
        if !self.ended {
            let (connection, stream) = (self.connection.channel.endpoint_id, self.id);
            self.connection.guard.act(|machine, now| {
                machine.endpoint.drop_stream(now, connection, stream);
                self.connection.channel.forget_stream(stream);
                machine.close_if_read(now, &self.connection.channel);
            });
        }
    }
}
