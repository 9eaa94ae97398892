//! A relay and two ends, without sessions.
