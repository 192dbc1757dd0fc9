//! Two runs for the same packages do not work at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::outcome::{RunError, RunErrorKind};

/// Held for as long as the run lasts; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is held by holding the open file")] File);

impl Lock {
    /// Takes the lock of this configuration.
    ///
    /// # Errors
    /// [`RunErrorKind::Locked`] when another run holds it; [`RunErrorKind::Configuration`] when the file cannot
    /// be opened or locked.
    pub fn take(config: &Config) -> Result<Self, RunError> {
        let path = path(config);
        let file = open(&path).map_err(|error| {
            let message = format!("cannot open the lock file {}: {error}", path.display());
            let hint = "set VIETER_LOCK_FILE to a file that this user can write";
            RunError::new(RunErrorKind::Configuration, message, hint)
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another run for the same packages holds the lock {}", path.display());
                Err(RunError::new(RunErrorKind::Locked, message, "wait until it ends"))
            }
            Err(TryLockError::Error(error)) => {
                let message = format!("cannot lock {}: {error}", path.display());
                let hint = "set VIETER_LOCK_FILE to a file on a disk that has locks";
                Err(RunError::new(RunErrorKind::Configuration, message, hint))
            }
        }
    }
}

/// The lock file of this configuration.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.output.lock_file.clone().unwrap_or_else(|| default_path(config))
}

/// Opens a lock file, and makes it where it is not there.
pub(crate) fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// One file for each package server and shard: other shards work beside this one.
fn default_path(config: &Config) -> PathBuf {
    let shard = config.selection.shard.map(|shard| shard.to_string()).unwrap_or_default();
    let name = Sha256::digest(format!("{} {shard}", config.server.address).as_bytes());
    let name: String = name.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    std::env::temp_dir().join(format!("vieter-{name}.lock"))
}
