//! What a dial may cost.

/// What a dial may spend until something is heard from where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// As much as it takes.
    #[default]
    Full,
    /// At most so many packets, shared by the kinds of links, and one for each in any case.
    Packets(u32),
}

impl Effort {
    /// Of each of so many kinds.
    pub(super) fn shared_by(self, kinds: usize) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Packets(all) => {
                let kinds = u32::try_from(kinds).unwrap_or(u32::MAX);
                Self::Packets((all / kinds.max(1)).max(1))
            }
        }
    }
}
