//! Git, by the `git` command of this machine: its credentials, proxies and known hosts apply.
//!
//! Addresses are handed over in the environment, never as arguments, because they may contain
//! credentials and every user of the machine can read arguments.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::GitUrl;
use crate::outcome::{Failure, FailureKind};

/// The tip of a branch, fetched. Files are read from Git's own store, and only written out as a working
/// tree when somebody asks for one. Everything goes when this is dropped.
#[derive(Debug)]
pub struct Fetched {
    directory: TempDir,
    branch: String,
    /// The commit's id.
    pub commit: String,
    populated: OnceCell<()>,
}

/// The tip of a branch at the time of a look.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The commit's id.
    pub commit: String,
    /// Its files, where they had to be fetched.
    pub fetched: Option<Arc<Fetched>>,
}

/// The two files of a package that are read as data, where they are there and not too large.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFiles {
    /// `PKGBUILD`.
    pub pkgbuild: Option<Vec<u8>>,
    /// `.SRCINFO`.
    pub srcinfo: Option<Vec<u8>>,
}

/// What is kept of a file that is read as data: a PKGBUILD larger than this is none.
pub const LARGEST_FILE: usize = 1024 * 1024;

impl Fetched {
    /// The top of the working tree, which is written out at the first call.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn tree(&self, url: &GitUrl) -> Result<&Path, Failure> {
        let path = self.directory.path();
        let populate = async {
            let git = Git { url, directory: path };
            git.run(&["checkout", "--quiet", "-B", &self.branch, &self.commit]).await.map(drop)
        };
        self.populated
            .get_or_try_init(|| populate)
            .await
            .map_err(|why| clone_failure(url, Some(&self.branch), &why))?;
        Ok(path)
    }

    /// Reads `PKGBUILD` and `.SRCINFO` of several folders (the empty path is the top) without a working
    /// tree.
    ///
    /// # Errors
    /// When Git's store cannot be read.
    pub async fn read(&self, url: &GitUrl, folders: &[&str]) -> Result<Vec<PackageFiles>, Failure> {
        let git = Git { url, directory: self.directory.path() };
        let mut wanted = Vec::new();
        for folder in folders {
            for name in ["PKGBUILD", ".SRCINFO"] {
                let slash = if folder.is_empty() { "" } else { "/" };
                wanted.push(format!("{}:{folder}{slash}{name}", self.commit));
            }
        }
        let mut contents =
            git.cat_files(&wanted).await.map_err(|why| clone_failure(url, None, &why))?.into_iter();
        let mut next = || contents.next().flatten();
        Ok(folders.iter().map(|_| PackageFiles { pkgbuild: next(), srcinfo: next() }).collect())
    }

    /// A tree of our own making, for what does not come from Git.
    pub(super) fn from_directory(directory: TempDir, commit: String) -> Self {
        let populated = OnceCell::new_with(Some(()));
        Self { directory, branch: String::new(), commit, populated }
    }
}

/// The folder with the PKGBUILD in a working tree.
///
/// # Errors
/// When the tree has no such folder, it is reached through a link, or it has no PKGBUILD.
pub fn package_directory(tree: &Path, path: Option<&str>) -> Result<PathBuf, Failure> {
    let mut directory = tree.to_owned();
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        directory.push(part);
        let is_directory = directory.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_dir());
        if !is_directory {
            return Err(no_pkgbuild(path));
        }
    }
    if directory.join("PKGBUILD").is_file() { Ok(directory) } else { Err(no_pkgbuild(path)) }
}

/// The failure of an entry whose repository has no PKGBUILD where it should be.
pub fn no_pkgbuild(path: Option<&str>) -> Failure {
    let place = path.map_or("at its top".to_owned(), |path| format!("in a folder {path}"));
    Failure::new(FailureKind::Clone, format!("the repository has no PKGBUILD {place}"))
        .hint("name the folder that has one in the entry's path, or remove the entry")
}

/// Fetches the tip of a branch (or of the default one), without history.
///
/// # Errors
/// When the repository cannot be had, or has no such branch.
pub async fn fetch(url: &GitUrl, branch: Option<&str>, limit: Duration) -> Result<Fetched, Failure> {
    let directory = empty_repository().map_err(|e| no_room(&std::env::temp_dir(), &e))?;
    let git = Git { url, directory: directory.path() };
    let fetch = async {
        let reference = branch.map_or("HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let shallow = ["fetch", "--quiet", "--no-tags", "--depth=1", "origin", &reference];
        match git.run(&shallow).await {
            // A plain web server's files can only be fetched whole.
            Err(why) if why.contains("dumb http transport does not support shallow") => {
                git.run(&["fetch", "--quiet", "--no-tags", "origin", &reference]).await.map(drop)
            }
            fetched => fetched.map(drop),
        }
    };
    match tokio::time::timeout(limit, fetch).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(clone_failure(url, branch, &why)),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            let message = format!("cannot clone {url}: no end after {limit}");
            return Err(Failure::new(FailureKind::Timeout, message).hint("try again later"));
        }
    }
    // Git notes here what it fetched, and from where.
    let note = directory.path().join(".git/FETCH_HEAD");
    let text = std::fs::read_to_string(&note).unwrap_or_default();
    let _ = std::fs::remove_file(&note);
    let commit = commit_id(&text).ok_or_else(|| clone_failure(url, branch, "git fetched no commit"))?;
    let branch = branch.unwrap_or("main").to_owned();
    Ok(Fetched { directory, branch, commit: commit.to_owned(), populated: OnceCell::new() })
}

/// What `git init` would make, without a process of its own for it.
fn empty_repository() -> std::io::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("vieter-clone-").tempdir()?;
    let git = directory.path().join(".git");
    std::fs::create_dir_all(git.join("objects"))?;
    std::fs::create_dir_all(git.join("refs/heads"))?;
    std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n")?;
    std::fs::write(git.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n")?;
    Ok(directory)
}

/// The commit id that a line of Git's begins with.
fn commit_id(text: &str) -> Option<&str> {
    let id = text.split_whitespace().next()?;
    (id.len() >= 40 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
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
    let commit = commit_id(&answer).map(str::to_owned);
    commit.ok_or_else(|| clone_failure(url, branch, "couldn't find remote ref"))
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

/// What is said when nobody answers.
const OUT_OF_REACH: &[&str] = &[
    "Could not resolve host",
    "unable to connect",
    "Failed to connect",
    "Connection refused",
    "Connection timed out",
    "Operation timed out",
    "error sending request",
];

/// Whether the host did not even answer.
pub fn is_out_of_reach(failure: &Failure) -> bool {
    says(failure, OUT_OF_REACH)
}

/// Whether trying again can help: the network or the other side had a bad moment.
pub fn is_transient(failure: &Failure) -> bool {
    const SIGNS: &[&str] = &[
        "Connection reset",
        "early EOF",
        "hung up unexpectedly",
        "unexpected disconnect",
        "The requested URL returned error: 5",
        "The requested URL returned error: 429",
        "HTTP status server error",
        "HTTP status client error (429",
    ];
    is_out_of_reach(failure) || says(failure, SIGNS)
}

fn says(failure: &Failure, signs: &[&str]) -> bool {
    failure.kind == FailureKind::Clone && signs.iter().any(|sign| failure.message.contains(sign))
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
    // What is fetched does not outlive the run.
    ("core.fsync", "none"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
];

/// Answers Git's question for a login (gitcredentials(7)) from the environment, which only this user can read.
const CREDENTIAL_HELPER: &str =
    r#"!f() { printf 'username=%s\npassword=%s\n' "$VIETER_GIT_USER" "$VIETER_GIT_PASSWORD"; }; f"#;

impl Git<'_> {
    /// The line of that reference; Git also tells of others that end like it.
    async fn ls_remote(&self, reference: &str) -> Result<String, String> {
        let lines = self.run(&["ls-remote", "--quiet", "origin", reference]).await?;
        let ours = lines.lines().find(|line| line.split_whitespace().nth(1) == Some(reference));
        Ok(ours.unwrap_or_default().to_owned())
    }

    /// Runs one command; the error is what it printed on standard error.
    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command(arguments);
        let output = command.output().await.map_err(|e| format!("cannot run git: {e}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(if text.is_empty() { format!("git ended with {}", output.status) } else { text })
        }
    }

    /// The contents of files, each named as `commit:path`; none for what is no file, or too large.
    async fn cat_files(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, String> {
        let broken = |e: std::io::Error| format!("git cat-file: {e}");
        let mut command = self.command(&["cat-file", "--batch"]);
        let mut git = command.stdin(Stdio::piped()).spawn().map_err(broken)?;
        let (Some(mut input), Some(output)) = (git.stdin.take(), git.stdout.take()) else {
            return Err("git cat-file has no input or output".into());
        };
        let ask = async {
            for name in names {
                input.write_all(name.as_bytes()).await?;
                input.write_all(b"\n").await?;
            }
            drop(input);
            Ok(())
        };
        let listen = async {
            let mut output = BufReader::new(output);
            let mut files = Vec::with_capacity(names.len());
            for _ in names {
                files.push(read_object(&mut output).await?);
            }
            Ok(files)
        };
        let (asked, files) = tokio::join!(ask, listen);
        let files = files.map_err(broken)?;
        asked.map_err(broken)?;
        // It ends by itself, having nothing more to read.
        let _ = git.wait().await;
        Ok(files)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
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
        let (url, credentials) = self.url.apart();
        let mut settings: Vec<(String, &str)> =
            SETTINGS.iter().map(|&(key, value)| (key.to_owned(), value)).collect();
        settings.push(("remote.origin.url".to_owned(), &url));
        if let Some(credentials) = &credentials {
            settings.push((format!("credential.{}.helper", credentials.origin), CREDENTIAL_HELPER));
            command.env("VIETER_GIT_USER", &credentials.user);
            command.env("VIETER_GIT_PASSWORD", &credentials.password);
        }
        // The user may hand over settings in the same way; ours come after them and win.
        let theirs = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|n| n.parse::<usize>().ok());
        let mut count = theirs.unwrap_or(0);
        for (key, value) in settings {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        command
    }
}

/// Reads one answer of `git cat-file --batch`: `<id> <type> <size>`, the contents, a line end; or one
/// line that says that there is nothing of the name.
async fn read_object(output: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    if output.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let mut words = line.trim_end().rsplitn(3, ' ');
    let (size, kind) = (words.next().and_then(|size| size.parse::<u64>().ok()), words.next());
    let Some(size) = size.filter(|_| kind.is_some_and(|kind| kind != "missing")) else {
        return Ok(None);
    };
    let mut contents = Vec::new();
    let fits = size <= LARGEST_FILE as u64;
    if fits {
        (&mut *output).take(size).read_to_end(&mut contents).await?;
    } else {
        tokio::io::copy(&mut (&mut *output).take(size), &mut tokio::io::sink()).await?;
    }
    output.read_u8().await?;
    Ok((fits && kind == Some("blob")).then_some(contents))
}
