//! QUIC of quinn.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use quinn::{
    ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256, quic::Suite};

use super::{
    ends::{End, Sender, text},
    measurement::{Measurement, Sizing, Work},
    pair::Pair,
    tls::{NAME, configs},
};

/// As it comes, but for what the work says of datagrams.
pub(crate) struct Quinn {
    client: Endpoint,
    server: Endpoint,
    at: SocketAddr,
}

impl Pair for Quinn {
    type Connection = Connection;

    async fn start(plan: &Measurement) -> Result<Self, String> {
        let (client, server) = configs(b"bench")?;
        let suite = initial_suite()?;
        let crypto = QuicClientConfig::with_initial(Arc::new(client), suite).map_err(text)?;
        let mut client_config = ClientConfig::new(Arc::new(crypto));
        let crypto = QuicServerConfig::with_initial(Arc::new(server), suite).map_err(text)?;
        let mut server_config = ServerConfig::with_crypto(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        if let Work::Stream(Sizing::Fixed) | Work::Messages(_, Sizing::Fixed) = plan.work {
            transport.initial_mtu(1_400).mtu_discovery_config(None);
        }
        let transport = Arc::new(transport);
        client_config.transport_config(transport.clone());
        server_config.transport_config(transport);
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut client = Endpoint::client(here).map_err(text)?;
        client.set_default_client_config(client_config);
        let server = Endpoint::server(server_config, here).map_err(text)?;
        let at = server.local_addr().map_err(text)?;
        Ok(Self { client, server, at })
    }

    async fn connect(&self) -> Result<Connection, String> {
        self.client.connect(self.at, NAME).map_err(text)?.await.map_err(text)
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
        Ok(End::of_streams(Sender::Quinn(sender), reader))
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

/// Of the first packets, whatever is agreed for the others (RFC 9001, 5).
fn initial_suite() -> Result<Suite, String> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    suite.ok_or_else(|| "there is no cipher for the first packets".into())
}
