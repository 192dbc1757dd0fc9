//! Runs the real binary and looks at all it says.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long [`Vieter::run`] waits.
const LONG: Duration = Duration::from_secs(15 * 60);
const PAUSE: Duration = Duration::from_millis(10);

/// A command line of the program in the making.
///
/// Its environment has `PATH`, a `HOME` and a `TMPDIR` of its own, what says where Docker is, and
/// what [`env`](Self::env) adds.
#[derive(Debug)]
pub struct Vieter {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    sample: bool,
}

impl Vieter {
    /// `binary` is `env!("CARGO_BIN_EXE_vieter")`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let kept = ["PATH", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"];
        let kept = kept.into_iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        Self { binary: binary.into(), arguments: Vec::new(), environment: kept.collect(), sample: false }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has another program, such as `setsid`, execute it in its own place.
    pub fn through(mut self, program: &str) -> Self {
        self.arguments.insert(0, std::mem::replace(&mut self.binary, program.into()).into());
        self
    }

    /// Collects the command lines of the program and its children, see [`Finished::cmdlines`].
    pub fn sample_cmdlines(self) -> Self {
        Self { sample: true, ..self }
    }

    /// Runs it to its end.
    pub fn run(self) -> Finished {
        self.spawn().wait(LONG)
    }

    /// Starts it.
    pub fn spawn(self) -> Running {
        let home = tempfile::Builder::new().prefix("vieter-home-").tempdir().expect("make a folder");
        let tmp = home.path().join("tmp");
        fs::create_dir(&tmp).expect("make a folder");
        let mut child = Command::new(&self.binary)
            .args(&self.arguments)
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", &tmp)
            .envs(self.environment)
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("run {}: {error}", self.binary.display()));
        let stdout = Stream::read(child.stdout.take().expect("the output is piped"));
        let stderr = Stream::read(child.stderr.take().expect("the output is piped"));
        let sampler = self.sample.then(|| Sampler::start(child.id()));
        Running { child, stdout, stderr, sampler, home }
    }
}

/// The program while it runs; dropping it stops it.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    sampler: Option<Sampler>,
    home: TempDir,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The `HOME` it was given; `TMPDIR` is `tmp` in it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line of the log that satisfies `wanted`, be it one that has been written
    /// already; fails when the program ends first, or the time is over.
    pub fn wait_for_log(&mut self, wanted: impl Fn(&Value) -> bool, timeout: Duration) -> Value {
        let end = Instant::now() + timeout;
        let mut seen = 0;
        loop {
            let over = self.has_ended() || Instant::now() > end;
            let text = self.stderr.text();
            let complete = text.rfind('\n').map_or(seen, |newline| newline + 1);
            let lines = text[seen..complete].lines();
            if let Some(line) = lines.filter_map(|line| serde_json::from_str(line).ok()).find(&wanted) {
                return line;
            }
            seen = complete;
            assert!(!over, "no such line in the log:\n{text}");
            thread::sleep(PAUSE);
        }
    }

    /// Sends a signal: `Signal::TERM`, `Signal::INT`.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("signal a process that runs");
    }

    /// Waits for its end; fails (and stops it) when that takes too long.
    pub fn wait(mut self, timeout: Duration) -> Finished {
        let end = Instant::now() + timeout;
        while !self.has_ended() {
            if Instant::now() > end {
                let text = self.stderr.text();
                drop(self);
                panic!("still running after {timeout:?}; its log:\n{text}");
            }
            thread::sleep(PAUSE);
        }
        Finished {
            status: self.child.wait().expect("wait for a child"),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            cmdlines: self.sampler.take().map(Sampler::finish).unwrap_or_default(),
        }
    }

    /// True when it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("look at a child").is_some()
    }
}

impl Drop for Running {
    /// Gives it the time to remove its containers.
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(15);
        let _ = self.child.try_wait().is_ok_and(|status| status.is_none()).then(|| {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(PAUSE);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        });
    }
}

/// The program when it has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote to stdout.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
    /// The command lines of it and its children, one argument after the other, if they were
    /// sampled.
    pub cmdlines: BTreeSet<String>,
}

impl Finished {
    /// The exit status; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails, with all it said, unless it ended with this exit status.
    pub fn assert_code(&self, code: i32) {
        let (status, stdout, stderr) = (self.status, &self.stdout, &self.stderr);
        assert_eq!(self.code(), Some(code), "{status}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    }

    /// The log; fails unless every line of stderr is a JSON object.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => value,
            _ => panic!("no JSON object: {line}"),
        };
        self.stderr.lines().map(parse).collect()
    }

    /// The lines of the log whose message contains `part`.
    pub fn messages(&self, part: &str) -> Vec<Value> {
        let has = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains(part));
        self.json_lines().into_iter().filter(has).collect()
    }

    /// The run id; fails unless every line of the log has it.
    pub fn run_id(&self) -> String {
        let lines = self.json_lines();
        let ids: BTreeSet<_> = lines.iter().map(|line| line["run_id"].as_str()).collect();
        match ids.into_iter().collect::<Vec<_>>().as_slice() {
            [Some(id)] => id.to_string(),
            ids => panic!("not one run id: {ids:?}\n{}", self.stderr),
        }
    }

    /// Everything it said, and every command line seen, to be searched for secrets.
    pub fn text(&self) -> String {
        let cmdlines: String = self.cmdlines.iter().map(|line| format!("{line}\n")).collect();
        format!("{}\n{}\n{cmdlines}", self.stdout, self.stderr)
    }
}

/// One output of the program, read as it comes.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(mut output: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = text.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8 * 1024];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let mut text = shared.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend_from_slice(&buffer[..length]);
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.text()
    }
}

/// Looks at the command lines of a process and all below it, again and again.
struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Sampler {
    fn start(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::SeqCst) {
                look(pid, &mut seen);
                thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self { stop, thread }
    }

    fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the sampler does not panic")
    }
}

/// Adds the command line of a process and of all below it; one that is gone is passed over.
fn look(pid: u32, seen: &mut BTreeSet<String>) {
    let Ok(cmdline) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return;
    };
    if !cmdline.is_empty() {
        seen.insert(String::from_utf8_lossy(&cmdline).replace('\0', " ").trim_end().to_string());
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for thread in threads {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).for_each(|pid| look(pid, seen));
    }
}
