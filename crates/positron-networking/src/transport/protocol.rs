//! What differs between one transport and another: the protocol below it.

use std::{fmt::Debug, future::Future};

use super::{TransportError, guard::TransportGuard, machine::ProtocolMachine};

/// The protocol below a transport: [`Udp`](super::Udp) or [`Tcp`](super::Tcp), and nothing else.
///
/// What is generic over it works with both: it can start either, and ask a connection who its other
/// end is.
///
/// ```
/// use positron_networking::transport::{Expect, Protocol, Tcp, Transport, Udp};
///
/// async fn meet<P: Protocol>() -> Result<(), Box<dyn std::error::Error>> {
///     let alice = Transport::<P>::bind("127.0.0.1:0").await?;
///     let bob = Transport::<P>::bind("127.0.0.1:0").await?;
///     let connection = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
///     assert_eq!(connection.peer(), Some(bob.id()));
///     Ok(())
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// meet::<Udp>().await?;
/// meet::<Tcp>().await
/// # }).unwrap();
/// ```
pub trait Protocol: ProtocolMachine {
    /// How a transport is to be.
    type Config: Default + Debug + Send;

    /// Bytes of the largest message.
    const MAX_MESSAGE: usize;

    /// The usual one, but on this address.
    #[doc(hidden)]
    fn config_at(host: String, port: u16) -> Self::Config;

    /// Takes the port and begins to listen.
    #[doc(hidden)]
    fn launch(
        config: Self::Config,
    ) -> impl Future<Output = Result<TransportGuard<Self>, TransportError>> + Send;
}
