//! A stand-in Vieter package server that real pacman can install from.
//!
//! It speaks two dialects, quirks included: [`Generation::Repos02`] has `/api/repos`,
//! [`Generation::V1`] has `/api/v1`. It keeps packages in a temporary folder, makes pacman
//! databases of them, records every request and fails on demand.

mod archive;
mod faults;
mod files;
mod list;
mod repos02;
mod repository;
mod shared;
mod v1;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

pub use faults::{Failure, Recorded, on};
pub use list::{Target, repo_uuid};
pub use v1::Log;

use crate::http::{HttpServer, Outcome, Request};
use list::List;
use repository::Repositories;
use shared::Shared;

/// Which Vieter server to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The one with `/api/repos`.
    Repos02,
    /// The one with `/api/v1`: 0.4, 0.5 or 0.6.
    V1 {
        /// The number after `0.`.
        minor: u8,
    },
}

impl Generation {
    /// One of each kind, for tests that must hold on all of them.
    pub const ALL: [Self; 3] = [Self::Repos02, Self::V1 { minor: 5 }, Self::V1 { minor: 6 }];

    fn minor(self) -> u8 {
        match self {
            Self::Repos02 => 2,
            Self::V1 { minor } => minor,
        }
    }

    /// Whether an upload that ends before its `Content-Length` is taken all the same.
    fn takes_short_bodies(self) -> bool {
        self.minor() < 6
    }
}

/// How a stand-in server is started; made by [`VieterServer::builder`].
pub struct Builder {
    generation: Generation,
    ip: Ipv4Addr,
    port: u16,
    api_key: String,
    default_arch: String,
}

impl Builder {
    /// Listens on every address of the machine instead of 127.0.0.1.
    pub fn on_all_addresses(self) -> Self {
        Self { ip: Ipv4Addr::UNSPECIFIED, ..self }
    }

    /// Listens on this port instead of any free one.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The key to ask for instead of one made up.
    pub fn api_key(self, key: &str) -> Self {
        Self { api_key: key.to_string(), ..self }
    }

    /// The architecture that packages of `any` are stored under; `x86_64` unless set.
    pub fn default_arch(self, arch: &str) -> Self {
        Self { default_arch: arch.to_string(), ..self }
    }

    /// Starts the server.
    pub fn start(self) -> io::Result<VieterServer> {
        let repositories = Repositories::new(&self.default_arch)?;
        let shared = Arc::new(Shared::new(self.generation, self.api_key, repositories));
        let handler = {
            let shared = shared.clone();
            move |request: &mut Request| serve(&shared, request)
        };
        let http = HttpServer::start(IpAddr::V4(self.ip), self.port, handler)?;
        Ok(VieterServer { http, shared })
    }
}

/// A running stand-in server; dropping it stops it and removes its packages.
pub struct VieterServer {
    http: HttpServer,
    shared: Arc<Shared>,
}

impl VieterServer {
    /// Starts a server on 127.0.0.1 and a free port.
    pub fn start(generation: Generation) -> Self {
        Self::builder(generation).start().expect("start a package server on 127.0.0.1")
    }

    /// For everything that [`start`](Self::start) does not suit.
    pub fn builder(generation: Generation) -> Builder {
        let api_key = format!("key-{}", crate::unique());
        let default_arch = "x86_64".to_string();
        Builder { generation, ip: Ipv4Addr::LOCALHOST, port: 0, api_key, default_arch }
    }

    /// What `VIETER_ADDRESS` is set to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http.port())
    }

    /// What `VIETER_API_KEY` is set to; unlike that of any other server, so that it can be
    /// searched for.
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
    }

    /// Which server this is.
    pub fn generation(&self) -> Generation {
        self.shared.generation
    }

    /// Sets the list. Ids count from 1 in `/api/v1`, see [`repo_uuid`] for `/api/repos`.
    pub fn set_targets(&self, targets: &[Target]) {
        let entries = targets.iter().enumerate();
        self.set_raw_entries(match self.generation() {
            Generation::Repos02 => targets.iter().map(Target::to_repos).collect(),
            Generation::V1 { .. } => entries.map(|(at, entry)| entry.to_v1(at + 1)).collect(),
        });
    }

    /// Sets the entries of the list as they are, for malformed ones.
    pub fn set_raw_entries(&self, entries: Vec<Value>) {
        self.shared.state().list = List::Entries(entries);
    }

    /// Sets the text of the repos file that `/api/repos` is answered from, which may be broken.
    pub fn set_repos_file(&self, text: &str) {
        self.shared.state().list = List::ReposFile(text.to_string());
    }

    /// Sets the whole body of the answer to a request for the list.
    pub fn set_raw_list_answer(&self, body: &str) {
        self.shared.state().list = List::Answer(body.to_string());
    }

    /// Earlier builds of `/api/repos` have no `schedule`.
    pub fn without_schedule(&self) {
        self.shared.state().with_schedule = false;
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// The requests of a method whose path contains `part`.
    pub fn requests_of(&self, method: &str, part: &str) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| request.is(method, part)).collect()
    }

    /// The most requests that were being worked on at the same time, uploads included; an answer
    /// on its way does not count.
    pub fn peak_requests(&self) -> usize {
        self.http.peak_requests()
    }

    /// Names and versions in a repository, sorted by name.
    pub fn packages(&self, repo: &str, arch: &str) -> Vec<(String, String)> {
        self.shared.state().repositories.packages(repo, arch)
    }

    /// Takes a package out; false when it was not there.
    pub fn remove_package(&self, repo: &str, arch: &str, name: &str) -> bool {
        self.shared.state().repositories.remove(repo, arch, name)
    }

    /// Puts a package archive in, as if it had been published.
    pub fn add_package(&self, repo: &str, archive: &[u8]) {
        files::store(&self.shared, repo, archive).expect("a package archive");
    }

    /// Puts in an entry without a package file: enough to be looked up, not to be downloaded.
    pub fn pretend_package(&self, repo: &str, arch: &str, name: &str, version: &str) {
        self.shared.state().repositories.pretend(repo, arch, name, version);
    }

    /// The build logs that were left here.
    pub fn logs(&self) -> Vec<Log> {
        self.shared.state().logs.clone()
    }

    /// Spoils the next `times` requests that match; see [`on`].
    pub fn fail_next<M>(&self, matches: M, failure: Failure, times: usize)
    where
        M: Fn(&Recorded) -> bool + Send + 'static,
    {
        self.shared.state().faults.add(matches, failure, times);
    }

    /// Spoils nothing any more.
    pub fn stop_failing(&self) {
        self.shared.state().faults.clear();
    }

    /// Says yes to the next `times` uploads and stores nothing.
    pub fn lose_uploads(&self, times: usize) {
        self.shared.state().uploads_to_lose = times;
    }

    /// Answers 400 to an upload of a file that is there already.
    pub fn refuse_duplicates(&self) {
        self.shared.state().duplicates_refused = true;
    }
}

/// Records a request, answers it, and records the answer.
fn serve(shared: &Shared, request: &mut Request) -> Outcome {
    let recorded = Recorded {
        at: SystemTime::now(),
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body_length: 0,
        status: None,
    };
    let (at, failure) = {
        let mut state = shared.state();
        let failure = state.faults.take(&recorded);
        state.requests.push(recorded);
        (state.requests.len() - 1, failure)
    };
    let outcome = faults::spoil(failure, request, |request| match shared.generation {
        Generation::Repos02 => repos02::answer(shared, request),
        Generation::V1 { .. } => v1::answer(shared, request),
    });
    let recorded = &mut shared.state().requests[at];
    recorded.body_length = request.body_read;
    if let Outcome::Reply(reply) = &outcome {
        recorded.status = Some(reply.status);
    }
    outcome
}
