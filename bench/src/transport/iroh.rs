//! QUIC of iroh.

use std::net::Ipv4Addr;

use iroh::{
    Endpoint, EndpointAddr, RelayMode,
    endpoint::{Connection, QuicTransportConfig, presets::Minimal},
};

use super::{
    ends::{End, Sender, text},
    measurement::{Measurement, Sizing, Work},
    pair::Pair,
};

/// As it comes, without relays and without anything resumed, but for what the work says of
/// datagrams.
pub(crate) struct Iroh {
    client: Endpoint,
    server: Endpoint,
    at: EndpointAddr,
}

impl Iroh {
    async fn endpoint(plan: &Measurement) -> Result<Endpoint, String> {
        let mut transport = QuicTransportConfig::builder();
        if let Work::Stream(Sizing::Fixed) | Work::Messages(_, Sizing::Fixed) = plan.work {
            transport = transport.initial_mtu(1_400).mtu_discovery_config(None);
        }
        let endpoint = Endpoint::builder(Minimal)
            .relay_mode(RelayMode::Disabled)
            .transport_config(transport.build())
            .max_tls_tickets(0)
            .alpns(vec![ALPN.to_vec()])
            .clear_ip_transports()
            .bind_addr((Ipv4Addr::LOCALHOST, 0))
            .map_err(text)?;
        endpoint.bind().await.map_err(text)
    }
}

impl Pair for Iroh {
    type Connection = Connection;

    async fn start(plan: &Measurement) -> Result<Self, String> {
        let (client, server) = (Self::endpoint(plan).await?, Self::endpoint(plan).await?);
        let here = *server.bound_sockets().first().ok_or("it listens nowhere")?;
        let at = EndpointAddr::new(server.id()).with_ip_addr(here);
        Ok(Self { client, server, at })
    }

    async fn connect(&self) -> Result<Connection, String> {
        self.client.connect(self.at.clone(), ALPN).await.map_err(text)
    }

    async fn accept(&self) -> Result<Connection, String> {
        self.server.accept().await.ok_or("it is closed")?.await.map_err(text)
    }

    /// A stream is there at the other end when something was written to it.
    async fn open(connection: &mut Connection, dialled: bool) -> Result<End, String> {
        let mut hello = [0; 1];
        let (sender, reader) = if dialled {
            let (mut sender, mut reader) = connection.open_bi().await.map_err(text)?;
            sender.write_all(&hello).await.map_err(text)?;
            reader.read_exact(&mut hello).await.map_err(text)?;
            (sender, reader)
        } else {
            let (mut sender, mut reader) = connection.accept_bi().await.map_err(text)?;
            reader.read_exact(&mut hello).await.map_err(text)?;
            sender.write_all(&hello).await.map_err(text)?;
            (sender, reader)
        };
        Ok(End::of_streams(Sender::Iroh(sender), reader))
    }

    async fn one_byte(connection: &mut Connection, dialled: bool) -> Result<(), String> {
        if dialled {
            let mut reader = connection.accept_uni().await.map_err(text)?;
            reader.read_to_end(1).await.map(drop).map_err(text)
        } else {
            let mut sender = connection.open_uni().await.map_err(text)?;
            sender.write_all(&[7]).await.map_err(text)?;
            sender.finish().map_err(text)?;
            // Until it is there: whoever drops a connection takes back what it said.
            sender.stopped().await.map(drop).or(Ok(()))
        }
    }
}

const ALPN: &[u8] = b"positron-bench";
