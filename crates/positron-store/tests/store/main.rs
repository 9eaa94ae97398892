//! Stories about a store: what survives, what is refused, what a crash and a full disk leave.

mod away;
mod crash;
mod full;
mod glance;
#[cfg(unix)]
mod permissions;
mod reasons;
mod refuses;
mod rig;
mod speed;
mod survives;
