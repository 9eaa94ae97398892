//! A node that has no peer for a while says why, in words that tell what failed.

use std::collections::BTreeMap;

use positron_proto::{
    node::NodeView,
    peers::BootstrapState,
    time::{Duration, Instant},
};

/// How long a node may be alone without a reason.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nodes that are alone, and since when.
#[derive(Debug, Default)]
pub(crate) struct Isolation(BTreeMap<usize, Instant>);

impl Isolation {
    /// The process ended: nobody is alone there.
    pub(crate) fn handle_end(&mut self, node: usize) {
        self.0.remove(&node);
    }

    /// Looks at a node.
    pub(crate) fn check(
        &mut self,
        node: usize,
        view: &NodeView,
        now: Instant,
    ) -> Result<(), String> {
        let Some(words) = view.isolation_reason() else {
            self.handle_end(node);
            return Ok(());
        };
        let since = *self.0.entry(node).or_insert(now);
        let alone = now.since(since);
        if alone <= PATIENCE || says_why(view) {
            return Ok(());
        }
        // Once for each time that it is alone.
        self.0.insert(node, Instant::FAR_FUTURE);
        Err(format!("alone for {} s, and says only: {words}", alone.as_secs()))
    }
}

/// Whether there is a reason beside that it is alone: that an address was reached once is none.
fn says_why(view: &NodeView) -> bool {
    view.bootstrap.is_empty()
        || view.bootstrap.iter().any(|one| match &one.state {
            BootstrapState::Reached(_) => false,
            BootstrapState::Trying => one.attempts > 0,
            BootstrapState::Unusable(_)
            | BootstrapState::Unresolved(_)
            | BootstrapState::Failed(_)
            | BootstrapState::NoFreeSlot(_)
            | BootstrapState::NoFreeOutbound(_) => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, World};

    #[test]
    fn who_was_only_reached_once_says_no_reason_and_whose_attempt_failed_says_one() {
        let mut world = World::new(&Scenario::quiet("pair", 2, Duration::from_secs(9)), 1);
        world.run_until(Duration::from_secs(9));
        let linked = world.view(1).unwrap();
        let mut alone = NodeView { peers: Vec::new(), ..linked.clone() };
        let at = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
        let mut isolation = Isolation::default();
        assert_eq!(isolation.check(1, &alone, at(1)), Ok(()));
        assert_eq!(isolation.check(1, &alone, at(11)), Ok(()));
        assert_eq!(isolation.check(1, &linked, at(12)), Ok(()));
        assert_eq!(isolation.check(1, &alone, at(13)), Ok(()));
        assert!(isolation.check(1, &alone, at(24)).is_err());
        assert_eq!(isolation.check(1, &alone, at(25)), Ok(()), "it was told");
        isolation.handle_end(1);
        alone.bootstrap[0].state = BootstrapState::Unresolved("no such host".into());
        assert_eq!(isolation.check(1, &alone, at(30)), Ok(()));
        assert_eq!(isolation.check(1, &alone, at(90)), Ok(()));
    }
}
