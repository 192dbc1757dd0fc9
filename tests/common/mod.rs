//! What the black-box tests share: a [`World`] with a Git server, a package server, a list and temporary
//! directories, in which the real binary runs, and which sees to it that nothing is left behind.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

pub mod database;
mod report;
mod watch;
pub mod web;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

pub use report::Report;
use serde_json::{Value, json};
use tempfile::TempDir;
use vieter_test_support::docker::{self, Decoy, RUN_LABEL, Snapshot, base_image};
use vieter_test_support::git::GitServer;
use vieter_test_support::packages::{Package, tiny};
use vieter_test_support::pacman_client::PacmanClient;
use vieter_test_support::program::{Finished, Running, Vieter};
use vieter_test_support::vieter_server::{Generation, Target, VieterServer};
pub use watch::Watch;

/// The pacman repository that entries are published to.
pub const REPO: &str = "repo";
/// The architecture of the Docker daemon.
pub const ARCH: &str = "x86_64";
/// The name of the builder image that most tests share: not the default, so that a developer's own stays.
const IMAGE_NAME: &str = "vieter-test-builder";

/// A kind of package server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory: `file://`.
    Directory,
    /// A Vieter server.
    Server(Generation),
}

/// The server with `/api/repos`.
pub const OLD: Kind = Kind::Server(Generation::Repos02);
/// The server with `/api/v1`.
pub const NEW: Kind = Kind::Server(Generation::V1 { minor: 6 });

/// One test's surroundings. When it is dropped, it fails the test if a run left something on the Docker
/// daemon or in the directory for temporary files, or touched what is somebody else's.
pub struct World {
    /// Where the packages' files are cloned from.
    pub git: GitServer,
    server: Option<VieterServer>,
    dir: TempDir,
    before: Snapshot,
    decoy: Arc<Decoy>,
    run_ids: Mutex<Vec<String>>,
}

impl World {
    /// A world with a package server of this kind and an empty list, and with the builder image made.
    pub fn new(kind: Kind) -> Self {
        static IMAGE: OnceLock<()> = OnceLock::new();
        IMAGE.get_or_init(make_builder_image);
        Self::without_image(kind)
    }

    /// One for tests that make builder images of their own.
    pub fn without_image(kind: Kind) -> Self {
        let dir = tempfile::Builder::new().prefix("vieter-world-").tempdir().expect("make a folder");
        fs::create_dir(dir.path().join("tmp")).expect("make a folder");
        let world = Self {
            git: GitServer::start(),
            server: match kind {
                Kind::Directory => None,
                Kind::Server(generation) => Some(VieterServer::start(generation)),
            },
            dir,
            before: Snapshot::take(),
            decoy: decoy(),
            run_ids: Mutex::default(),
        };
        if kind == Kind::Directory {
            world.list(&[]);
        }
        world
    }

    /// The Vieter server, in a world that has one.
    pub fn server(&self) -> &VieterServer {
        self.server.as_ref().expect("a world with a Vieter server")
    }

    /// The directory that is published to, in a world without Vieter server.
    pub fn directory(&self) -> PathBuf {
        self.path("public")
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets the list: on the server where there is one, else in a file.
    pub fn list(&self, targets: &[Target]) {
        match &self.server {
            Some(server) => server.set_targets(targets),
            None => self.list_in_file(targets),
        }
    }

    /// Sets the list in a file, which from now on is used instead of the server's.
    pub fn list_in_file(&self, targets: &[Target]) {
        let entries = targets.iter().map(|target| {
            json!({
                "kind": target.kind, "url": target.url, "branch": target.branch, "path": target.path,
                "repo": target.repo, "arch": target.arch,
            })
        });
        self.write_list(&json!(entries.collect::<Vec<_>>()).to_string());
    }

    /// Sets the text of the list's file.
    pub fn write_list(&self, text: &str) {
        fs::write(self.path("list.json"), text).expect("write the list");
    }

    /// Makes a Git repository of each package, and gives its entry.
    pub fn entry(&self, package: &Package) -> Target {
        self.git.package(package);
        Target::git(self.git.url(package.base()), REPO)
    }

    /// Makes Git repositories of packages, and a list of them.
    pub fn packages(&self, packages: &[Package]) {
        let entries: Vec<Target> = packages.iter().map(|package| self.entry(package)).collect();
        self.list(&entries);
    }

    /// The program with the settings of this world.
    pub fn vieter(&self, command: &str) -> Vieter {
        let mut vieter = Vieter::new(env!("CARGO_BIN_EXE_vieter"))
            .arg(command)
            .env("TMPDIR", self.path("tmp"))
            .env("VIETER_BASE_IMAGE", base_image())
            .env("VIETER_IMAGE_NAME", IMAGE_NAME)
            .env("VIETER_IMAGE_MAX_AGE", "1day")
            .env("VIETER_PULL", "missing")
            .env("VIETER_REPORT_DIR", self.path("report"));
        vieter = match &self.server {
            Some(server) => {
                vieter.env("VIETER_ADDRESS", server.url()).env("VIETER_API_KEY", server.api_key())
            }
            None => vieter.env("VIETER_ADDRESS", format!("file://{}", self.directory().display())),
        };
        let list = self.path("list.json");
        if list.exists() { vieter.env("VIETER_REPOS_FILE", list) } else { vieter }
    }

    /// Runs `vieter build` to its end.
    pub fn build(&self) -> Finished {
        self.run(self.vieter("build"))
    }

    /// Runs `vieter plan` to its end, which must succeed, and gives the plan.
    pub fn plan(&self) -> Value {
        let finished = self.run(self.vieter("plan"));
        finished.assert_code(0);
        serde_json::from_str(&finished.stdout).expect("the plan is JSON")
    }

    /// Runs the program to its end.
    pub fn run(&self, vieter: Vieter) -> Finished {
        self.note(vieter.run())
    }

    /// Waits for the end of a scheduler, whose log has the lines of its runs as well.
    pub fn wait_scheduler(&self, running: Running, timeout: Duration) -> Finished {
        let finished = running.wait(timeout);
        let ids =
            finished.json_lines().into_iter().filter_map(|line| Some(line["run_id"].as_str()?.to_owned()));
        lock(&self.run_ids).extend(ids);
        finished
    }

    /// Waits for the end of the program.
    pub fn wait(&self, running: Running, timeout: Duration) -> Finished {
        self.note(running.wait(timeout))
    }

    /// Notes whose leftovers to look for. Every line of the log must be JSON and name the run.
    fn note(&self, finished: Finished) -> Finished {
        if !finished.stderr.is_empty() {
            lock(&self.run_ids).push(finished.run_id());
        }
        finished
    }

    /// The last run's report, after a look whether it has the form that is documented.
    pub fn report(&self) -> Report {
        Report::read(&self.path("report/report.json"))
    }

    /// The packages of the repository: names and full versions, sorted by name.
    pub fn published(&self) -> Vec<(String, String)> {
        match &self.server {
            Some(server) => server.packages(REPO, ARCH),
            None => database::read(&self.directory(), REPO, ARCH)
                .into_iter()
                .map(|package| (package.name, package.version))
                .collect(),
        }
    }

    /// Fails unless the repository has exactly these packages, `name version` each.
    pub fn assert_published(&self, expected: &[&str]) {
        let published = self.published();
        let published: Vec<String> = published.iter().map(|(n, v)| format!("{n} {v}")).collect();
        assert_eq!(published, expected);
    }

    /// The volumes with the kept sources of this world's entries.
    pub fn source_volumes(&self) -> Vec<String> {
        let ours = "{{.Name}} {{.Label \"dev.vieter.entry\"}}";
        let all =
            docker::docker(&["volume", "ls", "--filter", "label=dev.vieter.role=sources", "--format", ours]);
        let host = self.git.url("");
        let names = all.lines().filter(|line| line.contains(&host)).filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect()
    }

    /// A clean machine that can install from the repository and from those of the base image.
    pub fn client(&self) -> PacmanClient {
        let client = match &self.server {
            Some(server) => PacmanClient::http(&server.url(), REPO),
            None => PacmanClient::directory(self.directory(), REPO),
        };
        client.add_base_repositories();
        client
    }

    /// Upgrades a client to what is published by now.
    pub fn upgrade(&self, client: &PacmanClient) {
        if self.server.is_none() {
            client.copy_in(self.directory());
        }
        client.pacman(&["-Syu"]);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Kept from night to night, but the entries of a test have no other night.
        for volume in self.source_volumes() {
            docker::output(&["volume", "rm", &volume]);
        }
        // A test that fails is not to fail twice.
        if std::thread::panicking() {
            return;
        }
        for run_id in lock(&self.run_ids).iter() {
            self.before.assert_nothing_of_ours_left(&format!("{RUN_LABEL}={run_id}"));
        }
        self.decoy.assert_untouched();
        let left = files_below(&self.path("tmp"));
        let left: Vec<_> = left.iter().filter(|file| !is_lock(file)).collect();
        assert!(left.is_empty(), "left in the directory for temporary files: {left:?}");
    }
}

/// What a mutex holds, be it that a test failed while it held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All files below a folder, as paths relative to it, sorted.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.extend(entry.path().strip_prefix(folder).map(|p| p.display().to_string())),
            }
        }
    }
    files.sort();
    files
}

/// How many bytes the files below a folder have.
pub fn size_of(folder: &Path) -> u64 {
    let sizes = files_below(folder).into_iter().map(|file| folder.join(file).symlink_metadata());
    sizes.flatten().map(|metadata| metadata.len()).sum()
}

fn is_lock(file: &str) -> bool {
    file.starts_with("vieter-") && file.ends_with(".lock")
}

/// What is somebody else's, shared by the tests that run at the same time.
fn decoy() -> Arc<Decoy> {
    static DECOY: Mutex<Weak<Decoy>> = Mutex::new(Weak::new());
    let mut shared = lock(&DECOY);
    shared.upgrade().unwrap_or_else(|| {
        let decoy = Arc::new(Decoy::new());
        *shared = Arc::downgrade(&decoy);
        decoy
    })
}

/// Makes the builder image that the tests of this binary share, before two of them do so at once.
fn make_builder_image() {
    let world = World::without_image(Kind::Directory);
    world.packages(&[tiny("first", "1.0", 1)]);
    world.build().assert_code(0);
}
