//! Records what Docker is told during a test, to be searched for secrets afterwards.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::output;

/// Follows `docker events` and inspects every container with a label when it is made and when
/// it is started; dropping it ends that.
pub struct Recorder {
    events: Child,
    reader: Option<JoinHandle<()>>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    events: Vec<Value>,
    inspections: Vec<Value>,
}

impl Recorder {
    /// Starts to record containers with `label`: a key, or `key=value`. Other tests' containers
    /// may be among them, unless the value says whose they are.
    pub fn start(label: &str) -> Self {
        // From now on, not from when it has connected.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut events = Command::new("docker")
            .args(["events", "--format", "{{json .}}"])
            .args(["--since", &format!("{}.{:09}", since.as_secs(), since.subsec_nanos())])
            .args(["--filter", "type=container", "--filter", &format!("label={label}")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("run docker: is the Docker command line installed?");
        let stdout = events.stdout.take().expect("the output is piped");
        let log = Arc::new(Mutex::new(Log::default()));
        let shared = log.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                record(&line, &shared);
            }
        });
        Self { events, reader: Some(reader), log }
    }

    /// What `docker inspect` said of each container, once made and once started, in this order.
    pub fn inspections(&self) -> Vec<Value> {
        self.log().inspections.clone()
    }

    /// The events, `exec_create` with the whole command line among them.
    pub fn events(&self) -> Vec<Value> {
        self.log().events.clone()
    }

    /// The ids of the containers that were made.
    pub fn created(&self) -> Vec<String> {
        let created = self.events().into_iter().filter(|event| event["Action"] == "create");
        created.filter_map(|event| event["Actor"]["ID"].as_str().map(str::to_string)).collect()
    }

    /// Everything recorded, as text to be searched.
    pub fn text(&self) -> String {
        let log = self.log();
        let all = log.events.iter().chain(&log.inspections);
        all.map(|value| format!("{value}\n")).collect()
    }

    /// Waits until `count` containers were made and their events are here.
    pub fn wait_for_created(&self, count: usize, timeout: Duration) {
        let end = Instant::now() + timeout;
        while self.created().len() < count {
            assert!(Instant::now() < end, "only {:?} made", self.created());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.events.kill();
        let _ = self.events.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn record(line: &str, log: &Mutex<Log>) {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return;
    };
    let worth_a_look = matches!(event["Action"].as_str(), Some("create" | "start"));
    let inspection = event["Actor"]["ID"].as_str().filter(|_| worth_a_look).and_then(inspect);
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.inspections.extend(inspection);
    log.events.push(event);
}

/// `None` when the container is gone already.
fn inspect(id: &str) -> Option<Value> {
    let output = output(&["container", "inspect", id]);
    let found = serde_json::from_slice::<Vec<Value>>(&output.stdout).ok()?;
    found.into_iter().next()
}
