//! The command line: which of the few things to do. Everything else is in the environment.

use clap::{Parser, Subcommand};

/// Builds Arch Linux packages in throw-away containers and publishes them to a pacman repository.
///
/// Settings are environment variables whose names begin with VIETER_; `vieter config` shows them.
#[derive(Debug, Parser)]
#[command(name = "vieter", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Build and publish what is new, then exit with a status that a scheduler can act on
    Build,
    /// Show what `build` would do, and why; changes nothing
    Plan,
    /// Show the settings in force and where each came from; secrets are masked
    Config,
}
