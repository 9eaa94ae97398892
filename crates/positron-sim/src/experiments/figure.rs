//! What was measured, beside what was promised of it.

use core::fmt;

/// One number of an experiment.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Figure {
    /// Of what.
    pub what: &'static str,
    /// What it came to.
    pub measured: f64,
    /// In which unit; empty where it has none.
    pub unit: &'static str,
    /// What was promised.
    pub target: Target,
    /// What others say that they reach, and who.
    pub published: Option<&'static str>,
}

/// What is promised of a number.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Nothing: it is told beside the others.
    None,
    /// It is this, or less.
    AtMost(f64),
    /// It is this, or more.
    AtLeast(f64),
}

impl Figure {
    /// A number of which nothing is promised.
    pub fn told(what: &'static str, measured: f64, unit: &'static str) -> Self {
        Self { what, measured, unit, target: Target::None, published: None }
    }

    /// Promises that it is so much at most.
    #[must_use]
    pub const fn at_most(mut self, most: f64) -> Self {
        self.target = Target::AtMost(most);
        self
    }

    /// Promises that it is so much at least.
    #[must_use]
    pub const fn at_least(mut self, least: f64) -> Self {
        self.target = Target::AtLeast(least);
        self
    }

    /// Puts beside it what others reach.
    #[must_use]
    pub const fn beside(mut self, published: &'static str) -> Self {
        self.published = Some(published);
        self
    }

    /// Whether it is as was promised. A number that is none keeps no promise.
    pub fn is_met(&self) -> bool {
        match self.target {
            Target::None => true,
            Target::AtMost(most) => self.measured <= most,
            Target::AtLeast(least) => self.measured >= least,
        }
    }

    /// What it came to, with its unit and no more digits than are meant.
    pub fn shown(&self) -> String {
        let number = self.measured;
        self.with_unit(if number.fract() == 0.0 || number.abs() >= 1_000.0 {
            format!("{number:.0}")
        } else if number.abs() >= 10.0 {
            format!("{number:.1}")
        } else {
            format!("{number:.3}")
        })
    }

    /// What was promised, with its unit; empty where nothing was.
    pub fn promised(&self) -> String {
        match self.target {
            Target::None => String::new(),
            target => self.with_unit(target.to_string()),
        }
    }

    /// Whether the promise was kept, if there is one.
    pub fn verdict(&self) -> &'static str {
        match self.target {
            Target::None => "",
            _ if self.is_met() => "met",
            _ => "NOT MET",
        }
    }

    fn with_unit(&self, number: String) -> String {
        if self.unit.is_empty() { number } else { format!("{number} {}", self.unit) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_met_up_to_its_target_and_one_that_could_not_be_measured_is_not() {
        let lateness = |ms| Figure::told("lateness", ms, "ms").at_most(400.0);
        assert!(lateness(400.0).is_met());
        assert!(!lateness(401.0).is_met());
        assert!(!lateness(f64::NAN).is_met());
        let reached = |percent| Figure::told("reached", percent, "%").at_least(100.0);
        assert!(reached(100.0).is_met() && !reached(99.99).is_met());
    }

    #[test]
    fn a_figure_is_told_with_the_digits_that_are_meant() {
        let figure = |measured| Figure::told("lateness", measured, "ms");
        let told = [0.12345, 17.56, 1234.5, 3.0].map(|measured| figure(measured).shown());
        assert_eq!(told, ["0.123 ms", "17.6 ms", "1234 ms", "3 ms"]);
        assert_eq!((figure(1.0).promised(), figure(1.0).verdict()), (String::new(), ""));
        let promised = figure(f64::NAN).at_most(2.5);
        assert_eq!(
            (promised.promised().as_str(), promised.verdict()),
            ("at most 2.5 ms", "NOT MET")
        );
    }
}
