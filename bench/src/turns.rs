//! Who is measured after whom.

/// All contenders, or only one, in the order of a round: who goes first has the cooler machine.
pub(crate) fn in_turns<T: Copy + PartialEq, const N: usize>(
    mut all: [T; N],
    only: Option<T>,
    round: u32,
) -> impl Iterator<Item = T> {
    if !round.is_multiple_of(2) {
        all.reverse();
    }
    all.into_iter().filter(move |one| only.is_none_or(|only| only == *one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_round_goes_the_other_way_and_one_goes_alone() {
        let order = |only, round| in_turns(['a', 'b', 'c'], only, round).collect::<String>();
        assert_eq!([order(None, 0), order(None, 1), order(None, 2)], ["abc", "cba", "abc"]);
        assert_eq!(order(Some('b'), 1), "b");
    }
}
