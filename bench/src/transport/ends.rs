//! The two ends of a connection, whatever it is made of.

use bytes::{Buf as _, Bytes, BytesMut};
use positron_networking::transport::{Delivery, Incoming, TcpConnection, UdpConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// One end of a connection.
pub(crate) struct End {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

/// Sends bytes or messages. In a stream a message has its length before it.
pub(crate) enum Sender {
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
    /// Takes chunks without copying them.
    Quinn(quinn::SendStream),
    /// Takes chunks without copying them.
    Iroh(iroh::endpoint::SendStream),
    Udp(UdpConnection),
    Tcp(TcpConnection),
}

/// Receives them, in order.
pub(crate) struct Receiver {
    source: Source,
    /// Read from a stream and not yet a whole message.
    rest: BytesMut,
}

enum Source {
    Stream(Box<dyn AsyncRead + Send + Unpin>),
    Udp(UdpConnection, Vec<Incoming<UdpConnection>>),
    Tcp(TcpConnection, Vec<Incoming<TcpConnection>>),
}

impl End {
    /// Of a stream for each direction.
    pub(crate) fn of_streams(
        sender: Sender,
        reader: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        Self { sender, receiver: Receiver::new(Source::Stream(Box::new(reader))) }
    }

    /// Of messages over UDP.
    pub(crate) fn of_udp(connection: UdpConnection) -> Self {
        let receiver = Receiver::new(Source::Udp(connection.clone(), Vec::new()));
        Self { sender: Sender::Udp(connection), receiver }
    }

    /// Of messages over TCP.
    pub(crate) fn of_tcp(connection: TcpConnection) -> Self {
        let receiver = Receiver::new(Source::Tcp(connection.clone(), Vec::new()));
        Self { sender: Sender::Tcp(connection), receiver }
    }
}

impl Sender {
    /// Sends a message that is made for this: what begins with its length.
    pub(crate) async fn say(&mut self, framed: &[u8]) -> Result<(), String> {
        match self {
            Self::Stream(stream) => stream.write_all(framed).await.map_err(text),
            Self::Quinn(stream) => stream.write_all(framed).await.map_err(text),
            Self::Iroh(stream) => stream.write_all(framed).await.map_err(text),
            Self::Udp(_) | Self::Tcp(_) => {
                self.give(Bytes::copy_from_slice(&framed[LENGTH..])).await
            }
        }
    }

    /// Sends a message that is there already: what begins with its length.
    pub(crate) async fn lend(&mut self, framed: &Bytes) -> Result<(), String> {
        match self {
            Self::Stream(stream) => stream.write_all(framed).await.map_err(text),
            Self::Quinn(stream) => stream.write_chunk(framed.clone()).await.map_err(text),
            Self::Iroh(stream) => stream.write_chunk(framed.clone()).await.map_err(text),
            Self::Udp(_) | Self::Tcp(_) => self.give(framed.slice(LENGTH..)).await,
        }
    }

    async fn give(&mut self, message: Bytes) -> Result<(), String> {
        match self {
            Self::Udp(connection) => {
                connection.send(LANE, Delivery::Ordered, message).await.map_err(text)
            }
            Self::Tcp(connection) => {
                connection.send(LANE, Delivery::Ordered, message).await.map_err(text)
            }
            _ => Err("a stream has no messages".into()),
        }
    }
}

impl Receiver {
    fn new(source: Source) -> Self {
        Self { source, rest: BytesMut::new() }
    }

    /// Reads what a stream has: how many bytes.
    pub(crate) async fn bytes(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let Source::Stream(stream) = &mut self.source else {
            return Err("messages are no stream".into());
        };
        match stream.read(buffer).await.map_err(text)? {
            0 => Err("the stream ended".into()),
            read => Ok(read),
        }
    }

    /// Takes the whole messages that are there, at least one, without their lengths: how many.
    pub(crate) async fn messages(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<u64, String> {
        let mut count = 0;
        match &mut self.source {
            Source::Stream(stream) => loop {
                while let Some(message) = whole(&mut self.rest) {
                    each(&message)?;
                    count += 1;
                }
                if count > 0 {
                    return Ok(count);
                }
                self.rest.reserve(READ);
                if stream.read_buf(&mut self.rest).await.map_err(text)? == 0 {
                    return Err("the stream ended".into());
                }
            },
            Source::Udp(connection, taken) => {
                connection.receive_many(taken, AT_ONCE).await.map_err(text)?;
                for message in taken.drain(..) {
                    each(&message.data)?;
                    count += 1;
                }
                Ok(count)
            }
            Source::Tcp(connection, taken) => {
                connection.receive_many(taken, AT_ONCE).await.map_err(text)?;
                for message in taken.drain(..) {
                    each(&message.data)?;
                    count += 1;
                }
                Ok(count)
            }
        }
    }
}

/// The first message, once all of it is there.
fn whole(rest: &mut BytesMut) -> Option<BytesMut> {
    let len = rest.first_chunk::<LENGTH>().map(|len| u32::from_be_bytes(*len))?;
    let len = usize::try_from(len).ok()?;
    if rest.len() < LENGTH + len {
        return None;
    }
    rest.advance(LENGTH);
    Some(rest.split_to(len))
}

/// A message of so many bytes behind its length.
pub(crate) fn framed(bytes: usize) -> Vec<u8> {
    let mut framed = vec![0x5A; LENGTH + bytes];
    let len = u32::try_from(bytes).unwrap_or(u32::MAX);
    framed[..LENGTH].copy_from_slice(&len.to_be_bytes());
    framed
}

/// What went wrong, to be told.
pub(crate) fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Bytes of a length.
pub(crate) const LENGTH: usize = 4;
/// The most that is read of a stream at once.
pub(crate) const READ: usize = 64 << 10;
/// The most messages that are taken at once.
const AT_ONCE: usize = 256;
/// The lane that a message without one has.
const LANE: u8 = positron_networking::transport::DEFAULT_LANE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_when_all_that_its_length_says_is_there() {
        let message = framed(300);
        let mut rest = BytesMut::from(&message[..299]);
        assert_eq!(whole(&mut rest), None);
        rest.extend_from_slice(&message[299..]);
        rest.extend_from_slice(&message[..3]);
        assert_eq!(whole(&mut rest).unwrap(), message[LENGTH..]);
        assert_eq!((whole(&mut rest), rest.len()), (None, 3));
    }
}
