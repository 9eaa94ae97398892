//! What each contender does to connect.

use std::future::Future;

use super::{ends::End, measurement::Measurement};

/// Both ends of a contender in this process, on loopback.
pub(crate) trait Pair: Sized + Send + Sync + 'static {
    /// An authenticated connection, seen from one of its ends.
    type Connection: Send + Sync + 'static;

    /// Listens at one end.
    ///
    /// # Errors
    /// It does not start.
    fn start(plan: &Measurement) -> impl Future<Output = Result<Self, String>> + Send;

    /// Connects to the end that listens, until this end has proof of who that is.
    ///
    /// # Errors
    /// It does not come about.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, String>> + Send;

    /// The next connection whose other end has proved who it is, at the end that listens.
    ///
    /// # Errors
    /// There is none.
    fn accept(&self) -> impl Future<Output = Result<Self::Connection, String>> + Send;

    /// Both directions, ready to be used. `dialled` says at which end this is.
    ///
    /// # Errors
    /// The connection is over.
    fn open(
        connection: &mut Self::Connection,
        dialled: bool,
    ) -> impl Future<Output = Result<End, String>> + Send;

    /// Says one byte, if this is the end that listens, and hears it at the other one.
    ///
    /// # Errors
    /// The connection is over.
    fn one_byte(
        connection: &mut Self::Connection,
        dialled: bool,
    ) -> impl Future<Output = Result<(), String>> + Send;
}
