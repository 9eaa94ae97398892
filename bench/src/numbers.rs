//! What many figures come to, and how one is shown.

/// The value below which so many of a hundred are.
pub(crate) fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The middle one; of an even number, the mean of the two in the middle.
pub(crate) fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    let middle = of.len() / 2;
    match of.len() {
        0 => None,
        len if len % 2 == 1 => Some(of[middle]),
        _ => Some((of[middle - 1] + of[middle]) / 2.0),
    }
}

/// With three digits that count, or as a whole number.
pub(crate) fn shown(number: Option<f64>) -> String {
    match number {
        None => "–".into(),
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) if number.abs() >= 10.0 => format!("{number:.1}"),
        Some(number) => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_values_are_below_the_median_and_the_last_one_is_the_maximum() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((quantile(&sorted, 50), quantile(&sorted, 99)), (100.0, 198.0));
        assert_eq!((quantile(&[7.0], 50), quantile(&[7.0], 99)), (7.0, 7.0));
        assert!(quantile(&[], 50).is_nan());
    }

    #[test]
    fn a_median_is_in_the_middle_and_there_is_none_of_nothing() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
