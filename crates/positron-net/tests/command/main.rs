//! The command as people meet it: processes, exit codes, and what is on the disk afterwards.

mod api;
mod backup;
mod bad_input;
mod dht;
mod doctor;
mod fixture;
mod key_files;
mod local_network;
mod logs;
mod nodes;
mod orders;
mod output;
mod recordings;
mod replays;
mod scenarios;
mod signals;
mod surroundings;
