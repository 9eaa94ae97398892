//! Which broadcasts are valid, as the application says.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use positron_proto::gossip::Validity;

use crate::{Received, panic::caught};

/// What says of broadcasts of others whether they are valid.
#[derive(Clone)]
pub(crate) struct Validator(Arc<Validate>);

type Validate = dyn Fn(Received) -> Word + Send + Sync;
type Word = Pin<Box<dyn Future<Output = Validity> + Send>>;

impl Validator {
    pub(crate) fn new<F>(validator: impl Fn(Received) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Validity> + Send + 'static,
    {
        Self(Arc::new(move |message| Box::pin(validator(message))))
    }

    /// What it says. One that panics says nothing against anybody.
    pub(crate) async fn validity(self, message: Received) -> Validity {
        let call = async { (self.0)(message).await };
        caught(call).await.unwrap_or_else(|panicked| {
            tracing::warn!("the validator of broadcasts panicked: {panicked}");
            Validity::Ignore
        })
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}
