//! Requests as the application is given them.

use std::{
    fmt::{self, Display},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{id::NodeId, request::Refusal};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    message::{decode, encode},
    panic::caught,
};

/// What another node asks; see [`on_request`](crate::Node::on_request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<T> {
    /// Who asks: the session has proved it.
    pub sender: NodeId,
    /// What.
    pub data: T,
}

/// A handler of requests, whatever its types.
#[derive(Clone)]
pub(crate) struct RequestHandler(Arc<Handle>);

type Handle = dyn Fn(Request<Bytes>) -> Answer + Send + Sync;
type Answer = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>>;

impl RequestHandler {
    /// One that reads and writes MessagePack.
    pub(crate) fn typed<T, R, E, F>(
        handler: impl Fn(Request<T>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned,
        R: Serialize,
        E: Display,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        Self::new(move |Request { sender, data }| {
            let asked = decode(&data).map(|data| handler(Request { sender, data }));
            async move {
                let answer = asked.map_err(failed)?.await.map_err(failed)?;
                encode(&answer).map_err(failed)
            }
        })
    }

    /// One that reads and writes bytes.
    pub(crate) fn bytes<E, F>(handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        E: Display,
        F: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        Self::new(move |request| {
            let answer = handler(request);
            async { answer.await.map_err(failed) }
        })
    }

    fn new<F>(handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Bytes, Refusal>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(handler(request))))
    }

    /// The answer, if the handler comes to one; a panic is one too.
    pub(crate) async fn answer(self, sender: NodeId, data: Bytes) -> Result<Bytes, Refusal> {
        let call = async { (self.0)(Request { sender, data }).await };
        caught(call).await.unwrap_or_else(|panicked| {
            tracing::warn!("the handler of requests panicked: {panicked}");
            Err(Refusal::Failed("its handler panicked".to_owned()))
        })
    }
}

impl fmt::Debug for RequestHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestHandler")
    }
}

fn failed(why: impl Display) -> Refusal {
    Refusal::Failed(why.to_string())
}
