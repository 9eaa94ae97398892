//! How transports are to be.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use positron_proto::{
    datagram::contract::{CongestionAlgorithm, EndpointConfig},
    id::NetworkId,
    identity::Identity,
    limits::{
        CONNECTION_QUEUE_BYTES, HANDSHAKE_TIMEOUT, LARGEST_DATAGRAM, LEAST_DATAGRAM,
        MAX_DATAGRAM_MESSAGE, MESSAGE_COST,
    },
    session::sessions::{LinkKinds, SessionConfig},
};

use super::TransportError;

/// How a UDP transport is to be.
#[derive(Debug)]
pub struct UdpConfig {
    /// The IP address to listen on. `::` is all of this machine's, of both families (IPv4 alone
    /// where IPv6 is switched off), `0.0.0.0` all of IPv4.
    pub host: String,
    /// The port to listen on; 0: a free one.
    pub port: u16,
    /// The name of the network: transports of two different ones refuse each other.
    pub network: String,
    /// Who the transport is; `None`: somebody new. [`keys::load`](crate::keys::load) reads one.
    pub identity: Option<Identity>,
    /// Connections whose handshake is complete, in all.
    pub max_connections: usize,
    /// Bytes that may wait to be sent and acknowledged on one connection: beyond it `send` waits.
    pub queue_bytes: usize,
    /// Bytes that may have arrived on one connection and not been taken by the application: beyond
    /// it the other end waits.
    pub window_bytes: usize,
    /// Silence after which a connection is asked whether it lives; `None`: only while something is
    /// unacknowledged.
    pub keep_alive: Option<Duration>,
    /// Silence after which a connection is lost, while something is unacknowledged.
    pub idle_timeout: Duration,
    /// How it is found out how much may be in flight.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::{CongestionAlgorithm, UdpConfig, UdpTransport};
    ///
    /// let config = UdpConfig { congestion: CongestionAlgorithm::Bbr, ..UdpConfig::loopback() };
    /// let transport = UdpTransport::start(config).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub congestion: CongestionAlgorithm,
    /// The largest datagram that is ever tried, in bytes of UDP payload, 1,200 to 16,384: what the
    /// path carries is found out by trying.
    pub max_datagram: usize,
}

impl Default for UdpConfig {
    /// Port 8888 on all addresses, somebody new.
    fn default() -> Self {
        let network = "positron-transport".to_owned();
        let proto = EndpointConfig::new(NetworkId::from_name(&network));
        Self {
            host: "::".into(),
            port: 8888,
            network,
            identity: None,
            max_connections: proto.max_connections,
            queue_bytes: CONNECTION_QUEUE_BYTES,
            window_bytes: proto.window_bytes,
            keep_alive: proto.keep_alive,
            idle_timeout: proto.idle_timeout,
            congestion: proto.congestion,
            max_datagram: proto.max_datagram,
        }
    }
}

impl UdpConfig {
    /// A free port on this machine, for tests and examples.
    pub fn loopback() -> Self {
        Self { host: "127.0.0.1".into(), port: 0, ..Self::default() }
    }

    pub(super) fn address(&self) -> Result<SocketAddr, TransportError> {
        address(&self.host, self.port)
    }

    pub(super) fn for_endpoint(&self) -> Result<EndpointConfig, TransportError> {
        let bad = |setting, why| Err(TransportError::BadSetting { setting, why });
        let least = MAX_DATAGRAM_MESSAGE + MESSAGE_COST;
        if self.queue_bytes < least {
            return bad("queue_bytes", "must hold one message of the largest size");
        }
        if self.window_bytes < least {
            return bad("window_bytes", "must hold one message of the largest size");
        }
        if self.idle_timeout.is_zero() {
            return bad("idle_timeout", "must not be zero");
        }
        if !(LEAST_DATAGRAM..=LARGEST_DATAGRAM).contains(&self.max_datagram) {
            return bad("max_datagram", "must be from 1200 to 16384");
        }
        Ok(EndpointConfig {
            max_connections: self.max_connections,
            queue_bytes: self.queue_bytes,
            window_bytes: self.window_bytes,
            keep_alive: self.keep_alive,
            idle_timeout: self.idle_timeout,
            congestion: self.congestion,
            max_datagram: self.max_datagram,
            ..EndpointConfig::new(NetworkId::from_name(&self.network))
        })
    }
}

/// How a TCP transport is to be.
#[derive(Debug)]
pub struct TcpConfig {
    /// The IP address to listen on. `::` is all of this machine's, of both families (IPv4 alone
    /// where IPv6 is switched off), `0.0.0.0` all of IPv4.
    pub host: String,
    /// The port to listen on; 0: a free one.
    pub port: u16,
    /// The name of the network: transports of two different ones refuse each other.
    pub network: String,
    /// Who the transport is; `None`: somebody new. [`keys::load`](crate::keys::load) reads one.
    pub identity: Option<Identity>,
    /// Connections, in all.
    pub max_connections: usize,
    /// How long connecting may take, the handshake included.
    pub connect_timeout: Duration,
    /// Silence after which a connection is asked whether it lives.
    pub heartbeat: Duration,
}

impl Default for TcpConfig {
    /// Port 8888 on all addresses, somebody new.
    fn default() -> Self {
        Self {
            host: "::".into(),
            port: 8888,
            network: "positron-transport".into(),
            identity: None,
            max_connections: 16 * 1024,
            connect_timeout: HANDSHAKE_TIMEOUT,
            heartbeat: Duration::from_secs(10),
        }
    }
}

impl TcpConfig {
    /// A free port on this machine, for tests and examples.
    pub fn loopback() -> Self {
        Self { host: "127.0.0.1".into(), port: 0, ..Self::default() }
    }
    pub(super) fn address(&self) -> Result<SocketAddr, TransportError> {
        address(&self.host, self.port)
    }

    pub(super) fn for_sessions(&self) -> SessionConfig {
        SessionConfig {
            network: NetworkId::from_name(&self.network),
            max_links: self.max_connections,
            connect_timeout: self.connect_timeout,
            heartbeat: self.heartbeat,
            transports: LinkKinds::TCP,
            ..SessionConfig::default()
        }
    }
}

/// The parts of `IP:port`.
pub(super) fn host_and_port(address: &str) -> Result<(String, u16), TransportError> {
    let parsed: SocketAddr =
        address.parse().map_err(|_| TransportError::BadHost(address.to_owned()))?;
    Ok((parsed.ip().to_string(), parsed.port()))
}

fn address(host: &str, port: u16) -> Result<SocketAddr, TransportError> {
    let ip: IpAddr = host.parse().map_err(|_| TransportError::BadHost(host.to_owned()))?;
    Ok((ip, port).into())
}
