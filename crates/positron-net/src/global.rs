//! The flags that every command understands.

use clap::{ArgAction, Args};

use crate::terminal::Color;

/// What every command understands.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Global {
    /// Data as JSON on stdout: one document, or one event a line
    #[arg(long, global = true)]
    pub json: bool,
    /// No messages on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// More messages: -v for DEBUG, -vv for TRACE
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Colours; `auto` heeds NO_COLOR
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}
