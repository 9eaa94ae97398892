//! A made-up world from a seed that runs the shipped node on virtual time.
