//! TCP of the kernel.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    ends::{End, Sender, text},
    measurement::Measurement,
    pair::Pair,
};

/// In clear text, to anybody.
pub(crate) struct Plain {
    listener: TcpListener,
    at: SocketAddr,
}

impl Plain {
    /// On a free port.
    pub(super) async fn listen() -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
        let at = listener.local_addr().map_err(text)?;
        Ok(Self { listener, at })
    }

    /// Connects, without waiting for more to send.
    pub(super) async fn dial(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(self.at).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        Ok(stream)
    }

    /// The next one that connects.
    pub(super) async fn next(&self) -> Result<TcpStream, String> {
        let (stream, _) = self.listener.accept().await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        Ok(stream)
    }
}

impl Pair for Plain {
    /// Until it is opened.
    type Connection = Option<TcpStream>;

    async fn start(_: &Measurement) -> Result<Self, String> {
        Self::listen().await
    }

    async fn connect(&self) -> Result<Option<TcpStream>, String> {
        self.dial().await.map(Some)
    }

    async fn accept(&self) -> Result<Option<TcpStream>, String> {
        self.next().await.map(Some)
    }

    async fn open(connection: &mut Option<TcpStream>, _: bool) -> Result<End, String> {
        let (reader, writer) = connection.take().ok_or("it is open")?.into_split();
        Ok(End::of_streams(Sender::Stream(Box::new(writer)), reader))
    }

    async fn one_byte(connection: &mut Option<TcpStream>, dialled: bool) -> Result<(), String> {
        let stream = connection.as_mut().ok_or("it is open")?;
        if dialled {
            stream.read_u8().await.map(drop).map_err(text)
        } else {
            stream.write_u8(7).await.map_err(text)
        }
    }
}
