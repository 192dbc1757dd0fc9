//! Stand-ins and helpers for the black-box tests of `vieter`: blocking, safe to use from tests
//! that run side by side, and cleaned up when the value is dropped.
//!
//! # [`vieter_server`]: a package server, each generation with its quirks
//! ```no_run
//! use vieter_test_support::vieter_server::{Failure, Generation, Target, VieterServer, on};
//!
//! for generation in Generation::ALL {
//!     let server = VieterServer::start(generation);
//!     server.set_targets(&[Target::git("git://127.0.0.1/tiny", "repo").branch("main")]);
//!     server.fail_next(on("POST", "/publish"), Failure::Status(503), 1);
//!     // VIETER_ADDRESS=server.url() VIETER_API_KEY=server.api_key() vieter build
//!     assert_eq!(server.packages("repo", "x86_64"), [("tiny".into(), "1.0-1".into())]);
//!     assert_eq!(server.requests_of("POST", "/repo/publish").len(), 2);
//! }
//! ```
//!
//! # [`git`] and [`packages`]: what to build, and where it is cloned from
//! ```no_run
//! use vieter_test_support::git::GitServer;
//! use vieter_test_support::packages::{Package, tiny};
//!
//! let git = GitServer::start();
//! let repo = git.package(&tiny("tiny", "1.0", 1));
//! let head = repo.commit_files(&tiny("tiny", "1.1", 1).files_with_srcinfo(), "New version");
//! git.package(&Package::new("user").epoch(1).depends(&["tiny"]).build_body("tiny"));
//! println!("{} is at {head}, {} requests so far", git.url("tiny"), git.requests("tiny"));
//! ```
//!
//! # [`program`]: the real binary
//! ```no_run
//! use std::time::Duration;
//! use vieter_test_support::program::{Signal, Vieter};
//!
//! # let binary = "vieter";
//! let vieter = || Vieter::new(binary).arg("build").env("VIETER_ADDRESS", "file:///srv/repo");
//! let finished = vieter().sample_cmdlines().run();
//! finished.assert_code(0);
//! assert!(!finished.text().contains("the secret"));
//!
//! let mut running = vieter().spawn();
//! running.wait_for_log(|line| line["step"] == "make", Duration::from_secs(60));
//! running.signal(Signal::TERM);
//! running.wait(Duration::from_secs(10)).assert_code(143);
//! ```
//!
//! # [`docker`]: what is left behind, what is touched, what is told
//! ```no_run
//! use vieter_test_support::docker::{Decoy, RUN_LABEL, Recorder, Snapshot, base_image};
//!
//! let (before, decoy) = (Snapshot::take(), Decoy::new());
//! let recorder = Recorder::start(RUN_LABEL);
//! println!("VIETER_BASE_IMAGE={} vieter build", base_image());
//! before.assert_only_an_image_left(&format!("{RUN_LABEL}={}", "the run id"));
//! decoy.assert_untouched();
//! assert!(!recorder.text().contains("the secret"));
//! ```
//!
//! # [`pacman_client`]: a machine that installs what was published
//! ```no_run
//! use vieter_test_support::pacman_client::PacmanClient;
//!
//! let client = PacmanClient::http("http://127.0.0.1:8000", "repo");
//! client.install(&["tiny"]);
//! assert_eq!(client.version_of("tiny"), "1.0-1");
//! println!("{}", client.must(&["tiny"]));
//! PacmanClient::directory("/srv/repo", "repo").install(&["tiny"]);
//! ```
//!
//! # [`otlp`]: a collector
//! ```no_run
//! use vieter_test_support::otlp::Collector;
//!
//! let collector = Collector::start();
//! println!("OTEL_EXPORTER_OTLP_ENDPOINT={} vieter build", collector.endpoint());
//! assert_eq!(collector.tree(), "run\n  image\n  tiny\n    clone\n");
//! assert!(!collector.contains("the secret"));
//! ```
//!
//! # [`registry`]: an image registry
//! ```no_run
//! use vieter_test_support::docker::base_image;
//! use vieter_test_support::registry::Registry;
//!
//! let mut registry = Registry::start();
//! let image = registry.push(&base_image(), "archlinux:latest");
//! println!("VIETER_BASE_IMAGE={image} vieter build");
//! registry.stop(); // and what is present locally must do
//! ```

#![forbid(unsafe_code)]

pub mod docker;
pub mod git;
mod http;
pub mod otlp;
pub mod packages;
pub mod pacman_client;
pub mod program;
pub mod registry;
pub mod vieter_server;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A short text that no other call gives, in this process or another one.
pub fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{now:x}-{count:x}", std::process::id())
}
