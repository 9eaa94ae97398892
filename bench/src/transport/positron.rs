//! Ours, over UDP and over TCP.

use positron_networking::{
    CongestionAlgorithm,
    transport::{
        Delivery, Expect, TcpConfig, TcpConnection, TcpTransport, UdpConfig, UdpConnection,
        UdpTransport,
    },
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    connection_kind::ConnectionKind,
    ends::{End, Sender, text},
    measurement::{Acquaintance, Measurement, Sizing, Work},
    pair::Pair,
};

/// Over UDP; a stream for each direction if `STREAMS`, else messages.
pub(crate) struct Udp<const STREAMS: bool> {
    client: UdpTransport,
    server: UdpTransport,
    expect: Expect,
}

impl<const STREAMS: bool> Pair for Udp<STREAMS> {
    type Connection = UdpConnection;

    async fn start(plan: &Measurement) -> Result<Self, String> {
        let congestion = match plan.contender {
            ConnectionKind::Stream(control) | ConnectionKind::Messages(control) => control,
            _ => CongestionAlgorithm::default(),
        };
        let config = || {
            let config = UdpConfig { congestion, ..UdpConfig::loopback() };
            match plan.work {
                Work::Stream(Sizing::Fixed) | Work::Messages(_, Sizing::Fixed) => {
                    UdpConfig { max_datagram: 1_400, ..config }
                }
                _ => config,
            }
        };
        let client = UdpTransport::start(config()).await.map_err(text)?;
        let server = UdpTransport::start(config()).await.map_err(text)?;
        let expect = match plan.work {
            // Of whom it does not know, it does not know the key either.
            Work::Handshakes(Acquaintance::Strangers) => Expect::Anyone,
            _ => Expect::Node(server.id()),
        };
        Ok(Self { client, server, expect })
    }

    async fn connect(&self) -> Result<UdpConnection, String> {
        self.client.connect(self.server.local_addr(), self.expect).await.map_err(text)
    }

    async fn accept(&self) -> Result<UdpConnection, String> {
        self.server.accept().await.ok_or_else(|| "it is closed".into())
    }

    async fn open(connection: &mut UdpConnection, _: bool) -> Result<End, String> {
        if !STREAMS {
            return Ok(End::of_udp(connection.clone()));
        }
        let lane = positron_networking::transport::DEFAULT_LANE;
        let mut sender = connection.open_stream(lane).map_err(text)?;
        sender.write_all(&[7]).await.map_err(text)?;
        let mut reader = connection.accept_stream().await.ok_or("it is closed")?;
        reader.read_u8().await.map_err(text)?;
        Ok(End::of_streams(Sender::Stream(Box::new(sender)), reader))
    }

    async fn one_byte(connection: &mut UdpConnection, dialled: bool) -> Result<(), String> {
        if dialled {
            connection.receive().await.map(drop).map_err(text)
        } else {
            connection.send(0, Delivery::Ordered, &[7][..]).await.map_err(text)
        }
    }
}

/// Over TCP, where two transports have one connection.
pub(crate) struct Tcp {
    client: TcpTransport,
    server: TcpTransport,
}

impl Pair for Tcp {
    type Connection = TcpConnection;

    async fn start(_: &Measurement) -> Result<Self, String> {
        let client = TcpTransport::start(TcpConfig::loopback()).await.map_err(text)?;
        let server = TcpTransport::start(TcpConfig::loopback()).await.map_err(text)?;
        Ok(Self { client, server })
    }

    async fn connect(&self) -> Result<TcpConnection, String> {
        let expect = Expect::Node(self.server.id());
        self.client.connect(self.server.local_addr(), expect).await.map_err(text)
    }

    async fn accept(&self) -> Result<TcpConnection, String> {
        self.server.accept().await.ok_or_else(|| "it is closed".into())
    }

    async fn open(connection: &mut TcpConnection, _: bool) -> Result<End, String> {
        Ok(End::of_tcp(connection.clone()))
    }

    async fn one_byte(connection: &mut TcpConnection, dialled: bool) -> Result<(), String> {
        if dialled {
            connection.receive().await.map(drop).map_err(text)
        } else {
            connection.send(0, Delivery::Ordered, &[7][..]).await.map_err(text)
        }
    }
}
