//! A real image registry of one's own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::docker::{docker, output};

/// How often another port is tried when one was taken in the meantime.
const ATTEMPTS: usize = 5;

/// A registry on 127.0.0.1, which Docker trusts without TLS; dropping it stops it, and removes
/// its storage and the names its images were given here.
pub struct Registry {
    port: u16,
    dir: TempDir,
    daemon: Option<Child>,
    names: Mutex<Vec<String>>,
}

impl Registry {
    /// Starts an empty one.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("vieter-registry-").tempdir().expect("make a folder");
        let mut registry = Self { port: 0, dir, daemon: None, names: Mutex::default() };
        for _ in 0..ATTEMPTS {
            registry.port = free_port();
            if registry.try_start() {
                return registry;
            }
        }
        panic!("the registry does not start:\n{}", registry.log());
    }

    /// What comes before the `/` of an image's name.
    pub fn url(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Pushes a local image under a name of this registry, and forgets that name locally; gives
    /// the full name to pull.
    pub fn push(&self, image: &str, name: &str) -> String {
        let full = format!("{}/{name}", self.url());
        docker(&["tag", image, &full]);
        docker(&["push", "--quiet", &full]);
        docker(&["rmi", &full]);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(full.clone());
        full
    }

    /// Stops it; its images stay for the next [`resume`](Self::resume).
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Starts it again, on the same port.
    pub fn resume(&mut self) {
        assert!(self.daemon.is_some() || self.try_start(), "no registry:\n{}", self.log());
    }

    /// What it logged, one request a line.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Starts the daemon; false when it ends at once, as it does when its port is taken.
    fn try_start(&mut self) -> bool {
        let (root, address) = (self.dir.path().display(), self.url());
        let config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: \
             {root}/images\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n"
        );
        let path = self.dir.path().join("config.yml");
        fs::write(&path, config).expect("write a file");
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log"));
        let log = log.expect("open a file");
        let mut daemon = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file opens twice"))
            .stderr(log)
            .spawn()
            .expect("run docker-registry: is the Debian package of that name installed?");
        let ready = is_ready(&mut daemon, &address);
        self.daemon = Some(daemon);
        if !ready {
            self.stop();
        }
        ready
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        for name in self.names.get_mut().unwrap_or_else(PoisonError::into_inner) {
            output(&["rmi", name]);
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("find a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn is_ready(daemon: &mut Child, address: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let reachable = TcpStream::connect(address).is_ok();
        // Somebody else's port is reachable as well, but then the daemon has ended.
        if reachable {
            thread::sleep(Duration::from_millis(50));
        }
        match daemon.try_wait() {
            Ok(None) if reachable => return true,
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            _ => return false,
        }
    }
    false
}
