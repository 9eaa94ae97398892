//! A sender on a path with a rate, a delay, and losses.

use super::*;
