//! The ten states of a connection and what leads from one to the next.

use super::contract::ConnectionState;

/// What moves a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transition {
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

impl ConnectionState {
    /// The state after `step`; `None` where the step means nothing and changes nothing (a repeated
    /// FIN, a late acknowledgment).
    pub(super) const fn after(self, step: Transition) -> Option<Self> {
        Some(match (self, step) {
            (Self::Closed, Transition::Dialled) => Self::SynSent,
            (Self::Closed, Transition::Answered) => Self::SynReceived,
            (Self::SynSent | Self::SynReceived, Transition::Proven) => Self::Established,
            (Self::Established, Transition::Close) => Self::FinWait1,
            (Self::Established, Transition::Fin) => Self::CloseWait,
            (Self::CloseWait, Transition::Close) => Self::LastAck,
            (Self::FinWait1, Transition::FinAcknowledged) => Self::FinWait2,
            (Self::FinWait1, Transition::Fin) => Self::Closing,
            (Self::FinWait2, Transition::Fin) | (Self::Closing, Transition::FinAcknowledged) => {
                Self::TimeWait
            }
            (Self::LastAck, Transition::FinAcknowledged) | (Self::TimeWait, Transition::Waited) => {
                Self::Closed
            }
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
                Transition::Abort,
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

    fn walk(steps: &[Transition]) -> ConnectionState {
        steps.iter().fold(ConnectionState::Closed, |state, step| {
            state.after(*step).unwrap_or_else(|| panic!("{step:?} means nothing in {state:?}"))
        })
    }

    #[test]
    fn whoever_closes_first_waits_and_the_other_does_not() {
        use Transition::{Answered, Close, Dialled, Fin, FinAcknowledged, Proven, Waited};
        let closes = [Dialled, Proven, Close, FinAcknowledged, Fin];
        assert_eq!(walk(&closes), ConnectionState::TimeWait);
        assert_eq!(walk(&closes).after(Waited), Some(ConnectionState::Closed));
        let follows = [Answered, Proven, Fin, Close, FinAcknowledged];
        assert_eq!(walk(&follows), ConnectionState::Closed);
    }

    #[test]
    fn two_ends_that_close_at_once_both_wait() {
        use Transition::{Close, Dialled, Fin, FinAcknowledged, Proven};
        assert_eq!(walk(&[Dialled, Proven, Close, Fin]), ConnectionState::Closing);
        assert_eq!(
            walk(&[Dialled, Proven, Close, Fin, FinAcknowledged]),
            ConnectionState::TimeWait
        );
    }

    #[test]
    fn every_state_but_closed_can_be_left_at_once() {
        use Transition::{Abort, Answered, Close, Dialled, Fin, FinAcknowledged, Proven};
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
            assert_eq!(walk(steps).after(Abort), Some(ConnectionState::Closed), "{steps:?}");
        }
        assert_eq!(ConnectionState::Closed.after(Abort), None);
    }

    #[test]
    fn what_comes_again_or_too_early_changes_nothing() {
        use Transition::{Close, Fin, FinAcknowledged, Proven, Waited};
        for (state, step) in [
            (ConnectionState::CloseWait, Fin),
            (ConnectionState::TimeWait, Fin),
            (ConnectionState::Established, FinAcknowledged),
            (ConnectionState::SynSent, Close),
            (ConnectionState::SynReceived, Fin),
            (ConnectionState::Established, Proven),
            (ConnectionState::FinWait2, Waited),
        ] {
            assert_eq!(state.after(step), None, "{step:?} in {state:?}");
        }
    }
}
