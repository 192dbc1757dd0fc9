//! Which containers are made, and what Docker is told of them.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use vieter_test_support::docker::{RUN_LABEL, Recorder, base_image, docker};
use vieter_test_support::program::Finished;

/// Sees which containers are made.
pub struct Watch(Recorder);

impl Watch {
    /// Watches from now on.
    pub fn start() -> Self {
        Self(Recorder::start(RUN_LABEL))
    }

    /// What the containers of a run were made for (their roles), by name: some are made beside each other.
    pub fn roles(&self, finished: &Finished) -> Vec<String> {
        self.settle();
        let run_id = finished.run_id();
        let attributes = |event: &Value| event["Actor"]["Attributes"].clone();
        let events = self.0.events().into_iter();
        let created = events.filter(|event| event["Action"] == "create").map(|event| attributes(&event));
        let ours = created.filter(|attributes| attributes[RUN_LABEL] == run_id.as_str());
        let mut roles: Vec<String> =
            ours.map(|a| a["dev.vieter.role"].as_str().unwrap_or_default().to_owned()).collect();
        roles.sort();
        roles
    }

    /// How many containers a run made to build in.
    pub fn builds(&self, finished: &Finished) -> usize {
        self.roles(finished).iter().filter(|role| *role == "build").count()
    }

    /// All that was recorded.
    pub fn recorder(&self) -> &Recorder {
        self.settle();
        &self.0
    }

    /// Waits until everything that has happened is recorded: a container made now comes after it.
    fn settle(&self) {
        let label = format!("{RUN_LABEL}=nobody's");
        let marker = docker(&["create", "--label", &label, &base_image(), "true"]);
        docker(&["rm", &marker]);
        let end = Instant::now() + Duration::from_secs(30);
        while !self.0.created().contains(&marker) {
            assert!(Instant::now() < end, "Docker does not tell its events");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
