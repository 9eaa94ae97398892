//! Sets of numbers that come in runs.
