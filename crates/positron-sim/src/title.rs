//! What something that can be played is called, and about.

/// Something that can be played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Title<T> {
    /// How it is called.
    pub(crate) name: &'static str,
    /// What happens in it, in less than a line.
    pub(crate) about: &'static str,
    /// It, with so many nodes.
    pub(crate) of: fn(usize) -> T,
}

/// The names of titles, in order.
pub(crate) const fn names<T, const N: usize>(titles: &[Title<T>; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = titles[at].name;
        at += 1;
    }
    names
}
