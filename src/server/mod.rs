//! Package servers: where packages are looked up and published.

pub mod database;
pub mod directory;
pub mod repo_add;
pub mod vieter;

use bytes::Bytes;
use tokio::io::AsyncRead;

use crate::catalog::{BadEntry, Entry};

pub use database::{Database, DatabasePackage};

/// A package to be looked up or published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageId {
    /// Its name.
    pub name: String,
    /// Its full version: `[epoch:]pkgver-pkgrel`.
    pub version: String,
    /// Its architecture, `any` included.
    pub arch: String,
}

impl std::fmt::Display for PackageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.version, self.arch)
    }
}

/// Trouble with a package server.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServerError {
    /// The server wants another API key.
    #[error("{address} does not accept the API key (401)")]
    Unauthorized {
        /// The server's address.
        address: String,
    },
    /// The server refused.
    #[error("{what}: the server answered {status}{}", said(.body))]
    Refused {
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// No answer, or half of one, after all attempts.
    #[error("{what}: {why}")]
    Transport {
        /// What was asked.
        what: String,
        /// Why there is no answer.
        why: String,
    },
    /// The answer makes no sense.
    #[error("{what}: the answer {why}")]
    Nonsense {
        /// What was asked.
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The server took the package but does not show it.
    #[error("{package} was uploaded and accepted, but the server does not have it")]
    Lost {
        /// The package.
        package: String,
    },
    /// The server took the package and cannot be asked for it.
    #[error("{package} was uploaded and accepted, but the server cannot be asked whether it has it: {why}")]
    Unconfirmed {
        /// The package.
        package: String,
        /// Why it cannot be asked.
        why: String,
    },
    /// The directory of a static repository cannot be read or written.
    #[error("{what}: {why}")]
    Directory {
        /// What was done.
        what: String,
        /// Why it failed.
        why: String,
    },
}

fn said(body: &str) -> String {
    let body: String = body.chars().filter(|c| !c.is_control()).take(200).collect();
    if body.trim().is_empty() { String::new() } else { format!(": {}", body.trim()) }
}

impl ServerError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "set VIETER_API_KEY to the server's key",
            Self::Refused { status: 413, .. } => {
                "raise the limit on request bodies of the proxy in front of the server"
            }
            Self::Refused { .. } | Self::Nonsense { .. } => "look at the package server's log",
            Self::Transport { .. } => "check that the package server runs and can be reached from here",
            Self::Lost { .. } | Self::Unconfirmed { .. } => "look at the package server's log and its disk",
            Self::Directory { .. } => "check the directory's permissions and room",
        }
    }

    /// Whether trying again can help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Lost { .. } => true,
            Self::Refused { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// A stream of known length.
pub struct Contents {
    /// Its length in bytes.
    pub size: u64,
    /// The bytes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
}

/// Where a package comes from when it is published. It can be opened again for another attempt.
pub trait Source: Sync {
    /// Opens the archive from its beginning.
    fn open(&self) -> impl Future<Output = anyhow::Result<Contents>> + Send;
}

/// A package server of either kind.
pub enum PackageServer {
    /// A Vieter server.
    Vieter(vieter::Vieter),
    /// A static repository on this machine.
    Directory(directory::Directory),
}

impl PackageServer {
    /// Whether the server has exactly this package.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn has(&self, repo: &str, arch: &str, package: &PackageId) -> Result<bool, ServerError> {
        match self {
            Self::Vieter(server) => server.has(repo, arch, package).await,
            Self::Directory(server) => server.has(repo, arch, package).await,
        }
    }

    /// The database of a repository, as pacman reads it; `None` when nothing was ever published to it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn database(&self, repo: &str, arch: &str) -> Result<Option<Bytes>, ServerError> {
        match self {
            Self::Vieter(server) => server.database(repo, arch).await,
            Self::Directory(server) => server.database(repo, arch).await,
        }
    }

    /// One package file of a repository.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn package(&self, repo: &str, arch: &str, file: &str) -> Result<Contents, ServerError> {
        match self {
            Self::Vieter(server) => server.package(repo, arch, file).await,
            Self::Directory(server) => server.package(repo, arch, file).await,
        }
    }
}

/// The elements of a list, good and bad.
pub type List = Vec<Result<Entry, BadEntry>>;
