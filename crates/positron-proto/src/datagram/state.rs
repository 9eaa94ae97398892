//! The ten states of a connection and what leads from one to the next.

use super::contract::State;

/// What moves a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Our SYN went out.
    Dialled,
    /// A SYN was answered.
    Answered,
    /// The other end proved that it holds the keys: its SYN_ACK, or its first sealed packet.
    Proven,
    /// Everything is said and we close: our FIN goes out.
    Close,
    /// Their FIN arrived (and is answered by FIN_ACK).
    Fin,
    /// Our FIN was acknowledged.
    FinAcknowledged,
    /// The wait for repeated FINs is over.
    Waited,
    /// A reset, silence or a violation.
    Abort,
}

impl State {
    /// The state after `step`; `None` where the step means nothing and changes nothing (a repeated
    /// FIN, a late acknowledgment).
    pub(super) const fn after(self, step: Step) -> Option<Self> {
        Some(match (self, step) {
            (Self::Closed, Step::Dialled) => Self::SynSent,
            (Self::Closed, Step::Answered) => Self::SynReceived,
            (Self::SynSent | Self::SynReceived, Step::Proven) => Self::Established,
            (Self::Established, Step::Close) => Self::FinWait1,
            (Self::Established, Step::Fin) => Self::CloseWait,
            (Self::CloseWait, Step::Close) => Self::LastAck,
            (Self::FinWait1, Step::FinAcknowledged) => Self::FinWait2,
            (Self::FinWait1, Step::Fin) => Self::Closing,
            (Self::FinWait2, Step::Fin) | (Self::Closing, Step::FinAcknowledged) => Self::TimeWait,
            (Self::LastAck, Step::FinAcknowledged) | (Self::TimeWait, Step::Waited) => Self::Closed,
            (
                Self::SynSent
                | Self::SynReceived
                | Self::Established
                | Self::FinWait1
                | Self::FinWait2
                | Self::Closing
                | Self::TimeWait
                | Self::CloseWait
                | Self::LastAck,
                Step::Abort,
            ) => Self::Closed,
            _ => return None,
        })
    }

    /// Whether the application may still say something.
    pub(super) const fn takes_messages(self) -> bool {
        matches!(self, Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait)
    }

    /// Whether the other end may still say something.
    pub(super) const fn hears_messages(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether our FIN is out and not acknowledged.
    pub(super) const fn awaits_fin_acknowledgment(self) -> bool {
        matches!(self, Self::FinWait1 | Self::Closing | Self::LastAck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(steps: &[Step]) -> State {
        steps.iter().fold(State::Closed, |state, step| {
            state.after(*step).unwrap_or_else(|| panic!("{step:?} means nothing in {state:?}"))
        })
    }

    #[test]
    fn whoever_closes_first_waits_and_the_other_does_not() {
        use Step::{Answered, Close, Dialled, Fin, FinAcknowledged, Proven, Waited};
        let closes = [Dialled, Proven, Close, FinAcknowledged, Fin];
        assert_eq!(walk(&closes), State::TimeWait);
        assert_eq!(walk(&closes).after(Waited), Some(State::Closed));
        let follows = [Answered, Proven, Fin, Close, FinAcknowledged];
        assert_eq!(walk(&follows), State::Closed);
    }

    #[test]
    fn two_ends_that_close_at_once_both_wait() {
        use Step::{Close, Dialled, Fin, FinAcknowledged, Proven};
        assert_eq!(walk(&[Dialled, Proven, Close, Fin]), State::Closing);
        assert_eq!(walk(&[Dialled, Proven, Close, Fin, FinAcknowledged]), State::TimeWait);
    }

    #[test]
    fn every_state_but_closed_can_be_left_at_once() {
        use Step::{Abort, Answered, Close, Dialled, Fin, FinAcknowledged, Proven};
        for steps in [
            &[Dialled][..],
            &[Answered],
            &[Dialled, Proven],
            &[Dialled, Proven, Close],
            &[Dialled, Proven, Close, FinAcknowledged],
            &[Dialled, Proven, Close, Fin],
            &[Dialled, Proven, Fin],
            &[Dialled, Proven, Fin, Close],
        ] {
            assert_eq!(walk(steps).after(Abort), Some(State::Closed), "{steps:?}");
        }
        assert_eq!(State::Closed.after(Abort), None);
    }

    #[test]
    fn what_comes_again_or_too_early_changes_nothing() {
        use Step::{Close, Fin, FinAcknowledged, Proven, Waited};
        for (state, step) in [
            (State::CloseWait, Fin),
            (State::TimeWait, Fin),
            (State::Established, FinAcknowledged),
            (State::SynSent, Close),
            (State::SynReceived, Fin),
            (State::Established, Proven),
            (State::FinWait2, Waited),
        ] {
            assert_eq!(state.after(step), None, "{step:?} in {state:?}");
        }
    }
}
