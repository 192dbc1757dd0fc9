//! The Docker daemon: the only code that knows bollard.
//!
//! Everything made here carries the labels of [`labels`], and only what carries them is ever removed.

mod archive;
mod connect;
mod container;
mod exec;
mod image;
pub mod labels;
mod ssh;
mod volume;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::Docker;
use tokio::task::JoinSet;

pub use archive::{TarReader, TarSender};
pub use connect::{connect, docker_host};
pub use container::{Container, ContainerSpec, Isolation, Limits};
pub use exec::{Exec, Ran};
pub use image::{ImageFacts, PullProgress};
pub use volume::SourceVolume;

/// Trouble with the daemon.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The daemon cannot be reached.
    #[error("the Docker daemon at {host} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        host: String,
        /// Why it cannot be reached.
        why: String,
    },
    /// The daemon refused or failed what was asked of it.
    #[error("Docker could not {what}: {why}")]
    Failed {
        /// What was asked, completing "could not".
        what: String,
        /// Its answer.
        why: String,
        /// The HTTP status of its answer, where there was one.
        status: Option<u16>,
    },
    /// A command printed nothing for too long.
    #[error("nothing was printed for {0:?}")]
    Silent(std::time::Duration),
}

impl EngineError {
    /// Whether the daemon said that the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { status: Some(404), .. })
    }
}

/// Puts what was asked for before the daemon's answer.
fn failed(what: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> EngineError {
    let what = what.into();
    move |error| match error {
        bollard::errors::Error::DockerResponseServerError { status_code, message } => {
            EngineError::Failed { what, why: message.trim().to_owned(), status: Some(status_code) }
        }
        other => EngineError::Failed { what, why: connect::chain(&other), status: None },
    }
}

/// What is known of the daemon.
#[derive(Debug, Clone)]
pub struct DaemonInfo {
    /// Its version, such as `20.10.24`.
    pub version: String,
    /// The API version that is spoken with it.
    pub api_version: String,
    /// The architecture of its containers, in pacman's words (`x86_64`, `aarch64`, ...).
    pub arch: String,
}

/// A connection to the daemon, on behalf of one run.
pub struct Engine {
    docker: Docker,
    /// What is known of the daemon.
    pub info: DaemonInfo,
    run_id: String,
    /// Containers of this run that were made and not yet removed.
    live: Mutex<BTreeSet<String>>,
    /// What is not to be stopped half-way: containers being made, and being removed.
    background: Mutex<JoinSet<()>>,
}

impl Engine {
    /// The run on whose behalf containers are made.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The daemon's clock, where it tells.
    pub async fn system_time(&self) -> Option<jiff::Timestamp> {
        self.docker.info().await.ok()?.system_time?.parse().ok()
    }

    fn live(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // The set is whole at every moment, so a panic elsewhere does not spoil it.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn background(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.background.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes every container that this run still has, running or not.
    ///
    /// # Errors
    /// The last failure, after all were tried.
    pub async fn remove_all(self: &Arc<Self>) -> Result<(), EngineError> {
        let background = std::mem::take(&mut *self.background());
        background.join_all().await;
        let ids: Vec<String> = self.live().iter().cloned().collect();
        let mut result = Ok(());
        for id in ids {
            if let Err(error) = self.remove_container(&id).await {
                result = Err(error);
            }
        }
        result
    }
}
