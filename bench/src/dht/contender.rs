//! What is measured: a node with a hash table, whoever wrote it.

use std::future::Future;

use super::order::Want;

/// A node of a network on loopback. What went wrong is said in words.
pub(crate) trait Contender: Clone + Send + Sync + Sized + 'static {
    /// Starts a node that listens, and joins by the nodes at these addresses.
    fn start(known: &[String]) -> impl Future<Output = Result<Self, String>> + Send;

    /// Where others find it.
    fn address(&self) -> String;

    /// Stores a value, so that it can be read as it is wanted.
    fn put(
        &self,
        want: Want,
        name: &str,
        value: &str,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// The value that was stored under `name`; `None`, if there is none.
    fn get(
        &self,
        want: Want,
        name: &str,
    ) -> impl Future<Output = Result<Option<String>, String>> + Send;

    /// Takes back what this node stored to be read as the newest.
    fn delete(&self, name: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// How many requests this node has sent so far for what was wanted of it.
    fn requests(&self) -> impl Future<Output = u64> + Send;
}

/// What is stored under a name: all contenders store the same.
pub(crate) fn value_of(name: &str) -> String {
    let mut value = name.repeat(VALUE.div_ceil(name.len()));
    value.truncate(VALUE);
    value
}

/// Bytes of a value: that of a record of a name, or of an address.
const VALUE: usize = 256;
