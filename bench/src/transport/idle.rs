//! Connections that say nothing.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    measurement::{Measurement, Readings},
    pair::Pair,
};
use crate::seen::memory;

/// What one end of a connection adds to the resident memory of the process, some time after a
/// message went over it: of that of all of them, divided by ends.
///
/// # Errors
/// One does not come about.
pub(super) async fn measure<S: Pair>(plan: &Measurement, stack: S) -> Result<Readings, String> {
    let stack = Arc::new(stack);
    // What both ends have once and for all is there before.
    let first = connect(stack.clone(), FIRST).await?;
    sleep(SETTLES).await;
    let before = memory()?;
    let mut held = Vec::new();
    let share = plan.connections / AT_ONCE;
    let making: Vec<_> =
        (0..AT_ONCE).map(|_| tokio::spawn(connect(stack.clone(), share))).collect();
    for made in making {
        held.push(made.await.map_err(|error| error.to_string())??);
    }
    sleep(IDLE).await;
    let after = memory()?;
    drop((held, first));
    let ends = (2 * share * AT_ONCE) as f64;
    Ok(vec![after.saturating_sub(before) as f64 / 1024.0 / ends])
}

/// So many connections, one after the other, each after a byte went over it.
async fn connect<S: Pair>(
    stack: Arc<S>,
    count: usize,
) -> Result<Vec<(S::Connection, S::Connection)>, String> {
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        let (dialled, accepted) = tokio::join!(
            async {
                let mut connection = stack.connect().await?;
                S::one_byte(&mut connection, true).await?;
                Ok::<_, String>(connection)
            },
            async {
                let mut connection = stack.accept().await?;
                S::one_byte(&mut connection, false).await?;
                Ok::<_, String>(connection)
            }
        );
        made.push((dialled?, accepted?));
    }
    Ok(made)
}

/// Connections that are made at once.
const AT_ONCE: usize = 8;
/// Connections before the first figure.
const FIRST: usize = 16;
/// How long is waited before the first figure.
const SETTLES: Duration = Duration::from_secs(1);
/// How long nothing is said before the last figure.
const IDLE: Duration = Duration::from_secs(5);
