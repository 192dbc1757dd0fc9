//! Having an entry's files: the one way to them for the plan and for the builds, with patience.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::sync::OnceCell;

use super::git::{self, Fetched};
use super::{Entry, GitUrl, Kind};
use crate::outcome::Failure;

/// The longest that one attempt may take: a packaging repository is small.
pub const LIMIT: Duration = Duration::from_secs(600);

/// Does something, so often in all, as long as trying again can help.
///
/// # Errors
/// The last failure.
pub async fn patiently<T, F>(attempts: u32, attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(500))
        .with_max_times(attempts.saturating_sub(1) as usize);
    attempt.retry(pauses).when(git::is_transient).await
}

/// Fetches the tip of a branch, or downloads the one file of an entry that has only one.
///
/// # Errors
/// When it cannot be had, after all attempts.
pub async fn fetch(
    kind: Kind,
    url: &GitUrl,
    branch: Option<&str>,
    attempts: u32,
) -> Result<Fetched, Failure> {
    patiently(attempts, || async {
        match kind {
            Kind::Git => git::fetch(url, branch, LIMIT).await,
            Kind::Url => super::download::download(url, LIMIT).await,
        }
    })
    .await
}

/// What tells repositories apart: kind, address and branch.
type Key = (Kind, GitUrl, Option<String>);

/// What builds fetch, each repository once, however many entries it has.
pub struct Fetches {
    attempts: u32,
    known: Mutex<HashMap<Key, Arc<OnceCell<Arc<Fetched>>>>>,
}

impl Fetches {
    /// Nothing yet; each fetch is tried so often in all.
    pub fn new(attempts: u32) -> Self {
        Self { attempts, known: Mutex::default() }
    }

    /// The files of an entry.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn of(&self, entry: &Entry) -> Result<Arc<Fetched>, Failure> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((entry.kind, entry.url.clone(), entry.branch.clone())).or_default())
        };
        let fetch = async {
            fetch(entry.kind, &entry.url, entry.branch.as_deref(), self.attempts).await.map(Arc::new)
        };
        cell.get_or_try_init(|| fetch).await.cloned()
    }
}
