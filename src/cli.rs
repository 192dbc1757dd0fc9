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
    /// Stay, and start a run every night (VIETER_SCHEDULE)
    // `crond -f` is what the compose files of the first Vieter's image say.
    #[command(alias = "crond")]
    Cron {
        /// Accepted for crond's sake: it always stays in the foreground
        #[arg(short, hide = true)]
        foreground: bool,
    },
    /// Tell whether the scheduler of this container is well
    Healthcheck,
    /// Look at everything that a run needs, and say how to mend what is wrong
    Doctor,
}
