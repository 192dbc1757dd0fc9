//! What the connections of one stand-in server share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Generation;
use super::faults::{Faults, Recorded};
use super::list::List;
use super::repository::Repositories;
use super::v1::Log;
use crate::http::Request;

pub(super) struct Shared {
    pub generation: Generation,
    pub api_key: String,
    state: Mutex<State>,
}

/// What changes while a server runs.
pub(super) struct State {
    pub list: List,
    pub with_schedule: bool,
    pub duplicates_refused: bool,
    pub uploads_to_lose: usize,
    pub repositories: Repositories,
    pub logs: Vec<Log>,
    pub faults: Faults,
    pub requests: Vec<Recorded>,
}

impl Shared {
    pub fn new(generation: Generation, api_key: String, repositories: Repositories) -> Self {
        let state = State {
            list: List::Entries(Vec::new()),
            with_schedule: true,
            duplicates_refused: false,
            uploads_to_lose: 0,
            repositories,
            logs: Vec::new(),
            faults: Faults::default(),
            requests: Vec::new(),
        };
        Self { generation, api_key, state: Mutex::new(state) }
    }

    /// A test that panicked while it held the lock has failed already.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when the request carries the right key.
    pub fn allows(&self, request: &Request) -> bool {
        request.header("X-Api-Key") == Some(&self.api_key)
    }
}
