//! Git, by the `git` command of this machine: its credentials, proxies and known hosts apply.
//!
//! Addresses are handed over in the environment, never as arguments, because they may contain
//! credentials and every user of the machine can read arguments.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use super::GitUrl;
use crate::outcome::{Failure, FailureKind};

/// A working tree, and the commit that it is of. The files go when this is dropped.
#[derive(Debug)]
pub struct Checkout {
    directory: TempDir,
    /// The commit's id.
    pub commit: String,
}

impl Checkout {
    /// The top of the working tree.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The folder with the PKGBUILD.
    ///
    /// # Errors
    /// When the tree has no such folder, it is reached through a link, or it has no PKGBUILD.
    pub fn package_directory(&self, path: Option<&str>) -> Result<PathBuf, Failure> {
        let mut directory = self.path().to_owned();
        for part in path.into_iter().flat_map(|path| path.split('/')) {
            directory.push(part);
            let is_directory =
                directory.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_dir());
            if !is_directory {
                let path = path.unwrap_or_default();
                let message = format!("the repository has no folder {path}");
                return Err(Failure::new(FailureKind::Clone, message).hint("correct the entry's path"));
            }
        }
        if !directory.join("PKGBUILD").is_file() {
            let place = path.map_or("at its top".to_owned(), |path| format!("in {path}"));
            let message = format!("the repository has no PKGBUILD {place}");
            return Err(Failure::new(FailureKind::Clone, message)
                .hint("name the folder that has one in the entry's path, or remove the entry"));
        }
        Ok(directory)
    }

    /// A tree of our own making, for what does not come from Git.
    pub(super) fn from_directory(directory: TempDir, commit: String) -> Self {
        Self { directory, commit }
    }
}

/// Fetches the tip of a branch (or of the default one), without history.
///
/// # Errors
/// When the repository cannot be had, or has no such branch.
pub async fn fetch(url: &GitUrl, branch: Option<&str>, limit: Duration) -> Result<Checkout, Failure> {
    let directory = tempfile::Builder::new()
        .prefix("vieter-clone-")
        .tempdir()
        .map_err(|e| no_room(&std::env::temp_dir(), &e))?;
    let git = Git { url, directory: directory.path() };
    let fetch = async {
        git.run(&["init", "--quiet", "--template=", "--initial-branch=main", "."]).await?;
        let reference = branch.map_or("HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let shallow = ["fetch", "--quiet", "--no-tags", "--depth=1", "origin", &reference];
        match git.run(&shallow).await {
            // A plain web server's files can only be fetched whole.
            Err(why) if why.contains("dumb http transport does not support shallow") => {
                git.run(&["fetch", "--quiet", "--no-tags", "origin", &reference]).await?;
            }
            fetched => drop(fetched?),
        }
        git.run(&["checkout", "--quiet", "-B", branch.unwrap_or("main"), "FETCH_HEAD"]).await?;
        git.run(&["rev-parse", "HEAD"]).await
    };
    let commit = match tokio::time::timeout(limit, fetch).await {
        Ok(Ok(commit)) => commit.trim().to_owned(),
        Ok(Err(why)) => return Err(clone_failure(url, branch, &why)),
        Err(_) => {
            let message = format!("cannot clone {url}: no end after {}", humantime::format_duration(limit));
            return Err(Failure::new(FailureKind::Timeout, message).hint("try again later"));
        }
    };
    // Git notes here where it fetched from.
    let _ = std::fs::remove_file(directory.path().join(".git/FETCH_HEAD"));
    Ok(Checkout { directory, commit })
}

/// The commit that a branch (or the default one) is at, without fetching it.
///
/// # Errors
/// When the repository cannot be asked, or has no such branch.
pub async fn tip(url: &GitUrl, branch: Option<&str>, limit: Duration) -> Result<String, Failure> {
    let here = std::env::temp_dir();
    let git = Git { url, directory: &here };
    let reference = branch.map_or("HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
    let answer = match tokio::time::timeout(limit, git.ls_remote(&reference)).await {
        Ok(answer) => answer.map_err(|why| clone_failure(url, branch, &why))?,
        Err(_) => {
            let message = format!("cannot ask {url}: no answer after {}", humantime::format_duration(limit));
            return Err(Failure::new(FailureKind::Timeout, message).hint("try again later"));
        }
    };
    match answer.split_whitespace().next() {
        Some(commit) if commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(commit.to_owned())
        }
        _ => Err(clone_failure(url, branch, "couldn't find remote ref")),
    }
}

fn no_room(directory: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot make a directory in {}: {error}", directory.display());
    Failure::new(FailureKind::Clone, message).hint("make room there, or point TMPDIR elsewhere")
}

/// Says what went wrong in Git's own last words, and what to do about the common troubles.
fn clone_failure(url: &GitUrl, branch: Option<&str>, why: &str) -> Failure {
    let said = |text: &str| why.contains(text);
    let hint = if said("couldn't find remote ref") {
        "correct the entry's branch, or make it empty for the default branch"
    } else if said("Authentication failed") || said("could not read Username") || said("Permission denied") {
        "check the address, and give Git credentials for it if the repository is private"
    } else if said("not found") || said("does not appear to be a git repository") || said("does not exist") {
        "check the entry's url"
    } else if said("Could not resolve host") || said("unable to connect") || said("Failed to connect") {
        "check the network and the host's name"
    } else {
        "try `git ls-remote` with this address by hand"
    };
    let branch = branch.map(|branch| format!(" (branch {branch})")).unwrap_or_default();
    let why = why.lines().filter(|l| !l.trim().is_empty()).collect::<Vec<_>>().join("; ");
    Failure::new(FailureKind::Clone, format!("cannot clone {url}{branch}: {}", url.redact(&why))).hint(hint)
}

/// The `git` command in a directory, with one remote, `origin`.
struct Git<'a> {
    url: &'a GitUrl,
    directory: &'a Path,
}

/// Settings that keep a hostile repository from running anything on this machine, and Git from asking
/// questions.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("advice.detachedHead", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
];

impl Git<'_> {
    async fn ls_remote(&self, reference: &str) -> Result<String, String> {
        self.run(&["ls-remote", "--quiet", "origin", reference]).await
    }

    /// Runs one command; the error is what it printed on standard error.
    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_CEILING_DIRECTORIES", self.directory.parent().unwrap_or(self.directory))
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30");
        }
        let settings = SETTINGS.iter().copied().chain([("remote.origin.url", self.url.expose())]);
        // The user may hand over settings in the same way; ours come after them and win.
        let theirs = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|n| n.parse::<usize>().ok());
        let mut count = theirs.unwrap_or(0);
        for (key, value) in settings {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        let output = command.output().await.map_err(|e| format!("cannot run git: {e}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(if text.is_empty() { format!("git ended with {}", output.status) } else { text })
        }
    }
}
