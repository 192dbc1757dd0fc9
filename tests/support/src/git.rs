//! Git repositories, served by Git itself.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Bare Git repositories behind a `git daemon` that listens on every address of the machine;
/// dropping it stops it and removes them.
pub struct GitServer {
    dir: TempDir,
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    refusing: AtomicBool,
    /// How many daemons are at work.
    busy: AtomicUsize,
    /// What every daemon said, one line an event.
    log: Mutex<String>,
}

impl GitServer {
    /// Starts a server without a repository.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("vieter-git-").tempdir().expect("make a folder");
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("listen for Git");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared::default());
        let (served, state) = (dir.path().join("served"), shared.clone());
        fs::create_dir(&served).expect("make a folder");
        let acceptor = thread::spawn(move || accept(&listener, &served, &state));
        Self { dir, port, shared, acceptor: Some(acceptor) }
    }

    /// The URL of a repository for a program on this machine.
    pub fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.port)
    }

    /// The URL of a repository for a program in a container on the default bridge.
    pub fn url_from_container(&self, name: &str) -> String {
        format!("git://{}:{}/{name}", crate::docker::bridge_gateway(), self.port)
    }

    /// The repository of this name, made when it is not there: empty, on branch `main`.
    pub fn repo(&self, name: &str) -> Repo {
        let repo = Repo {
            git_dir: self.dir.path().join("served").join(name),
            work_tree: self.dir.path().join("work").join(name),
        };
        if !repo.git_dir.exists() {
            fs::create_dir_all(&repo.work_tree).expect("make a folder");
            git(["init", "--quiet", "--bare", "--initial-branch=main"], [&repo.git_dir]);
        }
        repo
    }

    /// A repository of the package's name with its files in one commit.
    pub fn package(&self, package: &crate::packages::Package) -> Repo {
        let repo = self.repo(package.base());
        repo.commit_files(&package.files(), "Add the package");
        repo
    }

    /// How often something was asked of a repository: a look at its branches counts as well
    /// as a clone.
    pub fn requests(&self, name: &str) -> usize {
        let wanted = format!("Request upload-pack for '/{name}'");
        self.log().lines().filter(|line| line.contains(&wanted)).count()
    }

    /// What the daemons logged; waits a moment for those that are at work still.
    pub fn log(&self) -> String {
        let end = Instant::now() + Duration::from_secs(2);
        while self.shared.busy.load(Ordering::SeqCst) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on, closes (or no longer closes) every connection at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refusing.store(refuse, Ordering::SeqCst);
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor up, so that it sees the flag.
        let _ = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, served: &Path, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        if shared.refusing.load(Ordering::SeqCst) {
            continue;
        }
        let (served, shared) = (served.to_path_buf(), shared.clone());
        shared.busy.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let text = daemon(stream, &served).unwrap_or_else(|error| format!("{error}\n"));
            shared.log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            shared.busy.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Lets a `git daemon` talk to one client; gives what it logged.
fn daemon(stream: TcpStream, served: &Path) -> std::io::Result<String> {
    let input = OwnedFd::from(stream.try_clone()?);
    let output = git_command()
        .args(["daemon", "--inetd", "--export-all", "--verbose", "--log-destination=stderr"])
        .arg(format!("--base-path={}", served.display()))
        .arg(served)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(OwnedFd::from(stream)))
        .stderr(Stdio::piped())
        .spawn()?
        .wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A repository and the files that are checked out of it.
#[derive(Debug, Clone)]
pub struct Repo {
    git_dir: PathBuf,
    work_tree: PathBuf,
}

impl Repo {
    /// Writes files and commits everything; gives the hash of the commit.
    pub fn commit_files<P, C>(&self, files: &[(P, C)], message: &str) -> String
    where
        P: AsRef<Path>,
        C: AsRef<[u8]>,
    {
        for (path, contents) in files {
            self.write(path, contents);
        }
        self.commit(message)
    }

    /// Writes one file, to be committed.
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let path = self.place(path.as_ref());
        fs::write(path, contents).expect("write a file of a test repository");
    }

    /// Sets the executable bit of a file, to be committed.
    pub fn make_executable(&self, path: impl AsRef<Path>) {
        let path = self.work_tree.join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set a mode");
    }

    /// Makes a symbolic link, to be committed.
    pub fn symlink(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        symlink(target, self.place(path.as_ref())).expect("make a symbolic link");
    }

    /// Removes a file, to be committed.
    pub fn remove(&self, path: impl AsRef<Path>) {
        fs::remove_file(self.work_tree.join(path)).expect("remove a file");
    }

    /// Commits everything, be it nothing; gives the hash of the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Goes on with another branch, made from the current one when it is not there.
    pub fn switch(&self, branch: &str) {
        let known = self.git(["branch", "--list", branch]);
        match known.is_empty() {
            true => self.git(["switch", "--quiet", "--create", branch]),
            false => self.git(["switch", "--quiet", branch]),
        };
    }

    /// Tags the current commit.
    pub fn tag(&self, name: &str) {
        self.git(["tag", "--annotate", "--message", name, name]);
    }

    /// The hash of the current commit.
    pub fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"])
    }

    /// The bare repository.
    pub fn path(&self) -> &Path {
        &self.git_dir
    }

    /// Runs Git in it; gives the output without the last newline.
    pub fn git<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let (git_dir, work_tree) = (self.git_dir.as_os_str(), self.work_tree.as_os_str());
        git([OsStr::new("--git-dir"), git_dir, OsStr::new("--work-tree"), work_tree], arguments)
    }

    /// Where a file goes, with its folder made.
    fn place(&self, path: &Path) -> PathBuf {
        let path = self.work_tree.join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("make a folder");
        path
    }
}

/// Git without the settings of this machine.
fn git_command() -> Command {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A Test");
        command.env(format!("GIT_{who}_EMAIL"), "test@example.org");
    }
    command
}

fn git<A, B>(before: impl IntoIterator<Item = A>, after: impl IntoIterator<Item = B>) -> String
where
    A: AsRef<OsStr>,
    B: AsRef<OsStr>,
{
    let mut command = git_command();
    command.args(before).args(after);
    let output = command.output().expect("run git: is it installed?");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_string()
}
