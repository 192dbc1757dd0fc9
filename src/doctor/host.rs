//! This machine, or this container: Git, and the directories that a run writes to.

use std::collections::BTreeSet;
use std::path::Path;

use super::findings::{Finding, State};
use crate::config::{Config, ServerAddress};
use crate::lock;
use crate::server::List;

pub(super) async fn git() -> Finding {
    match tokio::process::Command::new("git").arg("--version").output().await {
        Ok(output) if output.status.success() => {
            Finding::good("Git", String::from_utf8_lossy(&output.stdout).trim())
        }
        Ok(output) => Finding::bad("Git", output.status.to_string(), "reinstall git"),
        Err(error) => Finding::bad("Git", error.to_string(), "install git"),
    }
}

pub(super) fn directories(config: &Config) -> Vec<Finding> {
    let temporary = std::env::temp_dir();
    let fix = "make it writable, or point TMPDIR elsewhere";
    let mut findings = vec![writable("temporary files", &temporary, &temporary, fix)];
    let mut add = |what, directory: &Path, fix| {
        findings.push(writable(what, directory, nearest(directory), fix));
    };
    if let Some(directory) = &config.plan.cache_dir {
        add("cache", directory, "make VIETER_CACHE_DIR a directory that this user can write");
    }
    if let Some(directory) = &config.output.report_dir {
        add("reports", directory, "make VIETER_REPORT_DIR a directory that this user can write");
    }
    if let ServerAddress::Directory(directory) = &config.server.address {
        add("static repository", directory, "make the directory of VIETER_ADDRESS, writable for this user");
    }
    findings
}

/// The files that a run or the scheduler cannot do without: with one that cannot be written it ends at once.
pub(super) fn files(config: &Config) -> Vec<Finding> {
    let mut findings = vec![lock_file(&lock::path(config))];
    if let Some(path) = &config.nightly.status_file {
        findings.push(status_file(path));
    }
    findings
}

/// The lock file is opened as a run opens it, and never made.
fn lock_file(path: &Path) -> Finding {
    let directory = parent(path);
    let tried = if path.exists() {
        lock::open(path).map(drop)
    } else {
        tempfile::NamedTempFile::new_in(directory).map(drop)
    };
    let fix = "set VIETER_LOCK_FILE to a file that this user can write, in a directory that is there";
    written("lock file", path, tried, fix)
}

/// The scheduler writes the status file anew beside the old one, and puts it in its place.
fn status_file(path: &Path) -> Finding {
    let tried = if path.is_dir() {
        Err(std::io::ErrorKind::IsADirectory.into())
    } else {
        tempfile::NamedTempFile::new_in(parent(path)).map(drop)
    };
    let fix = "set VIETER_STATUS_FILE to a file in a directory that is there, and that this user can write";
    written("status file", path, tried, fix)
}

fn written(what: &'static str, path: &Path, tried: std::io::Result<()>, fix: &str) -> Finding {
    match tried {
        Ok(()) => Finding::good(what, format!("{} can be written", path.display())),
        Err(error) => Finding::bad(what, format!("{}: {error}", path.display()), fix),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The repositories of the list that are there already and cannot be written, though the directory of all of
/// them can: another user has published to them.
pub(super) fn closed_repositories(config: &Config, list: &List, arch: &str) -> Vec<Finding> {
    let ServerAddress::Directory(root) = &config.server.address else { return Vec::new() };
    let entries = list.iter().flatten().filter(|entry| entry.is_for(arch));
    let repos: BTreeSet<&str> = entries.map(|entry| entry.repo.as_str()).collect();
    let there = repos.into_iter().map(|repo| root.join(repo)).filter(|folder| folder.exists());
    let fix = "give it to this user (`chown -R`), or let it be written some other way";
    let judged = there.map(|folder| folder.join(arch)).map(|folder| {
        let there = nearest(&folder);
        writable("static repository", &folder, there, fix)
    });
    judged.filter(|finding| finding.state == State::Bad).collect()
}

/// The directory itself, or that parent of it in which a run would begin to make it. A link that leads
/// nowhere is there, and keeps it from being made.
fn nearest(directory: &Path) -> &Path {
    let there = |path: &&Path| path.symlink_metadata().is_ok();
    directory.ancestors().find(there).unwrap_or(Path::new("."))
}

/// Whether a run can write to a directory that is `there`, or make it in there.
fn writable(what: &'static str, directory: &Path, there: &Path, fix: &str) -> Finding {
    let (name, parent) = (directory.display(), there.display());
    match (tempfile::NamedTempFile::new_in(there), there == directory) {
        (Ok(_), true) => Finding::good(what, format!("{name} can be written")),
        (Ok(_), false) => {
            Finding::good(what, format!("{name} is not there yet, and can be made in {parent}"))
        }
        (Err(error), true) => Finding::bad(what, format!("{name}: {error}"), fix),
        (Err(error), false) => Finding::bad(what, format!("{name} cannot be made in {parent}: {error}"), fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::config::made_up::MadeUp;

    fn state(directory: &Path) -> (State, String) {
        let finding = writable("reports", directory, nearest(directory), "fix");
        (finding.state, finding.seen)
    }

    #[test]
    fn a_directory_that_a_run_makes_need_not_be_there() {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path();
        assert_eq!(state(root).0, State::Good);
        let (judged, seen) = state(&root.join("a/b/c"));
        assert_eq!(judged, State::Good);
        assert!(seen.ends_with(&format!("can be made in {}", root.display())), "{seen}");
        assert_eq!(std::fs::read_dir(root).expect("a directory").count(), 0, "something was made");
        assert_eq!(nearest(Path::new("no-such-directory/below")), Path::new("."));
    }

    #[test]
    fn what_is_in_the_way_is_told() {
        let folder = tempfile::tempdir().expect("a directory");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "").expect("written");
        std::os::unix::fs::symlink("nowhere", &link).expect("made");
        for directory in [file.clone(), file.join("below"), link.clone(), link.join("below")] {
            assert_eq!(state(&directory).0, State::Bad, "{}", directory.display());
        }
    }

    #[test]
    fn files_that_cannot_be_written_are_told_and_none_is_made() {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path();
        let (file, new) = (root.join("file"), root.join("new"));
        std::fs::write(&file, "kept").expect("written");
        for judge in [lock_file, status_file] {
            assert_eq!((judge(&file).state, judge(&new).state), (State::Good, State::Good));
            for path in [root.join("nowhere/file"), file.join("below"), root.to_owned()] {
                assert_eq!(judge(&path).state, State::Bad, "{}", path.display());
            }
        }
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "kept");
        assert_eq!(std::fs::read_dir(root).expect("a directory").count(), 1, "something was made");
    }

    #[test]
    fn a_repository_that_another_user_made_is_told() {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path();
        let address = format!("file://{}", root.display());
        let variables = [("VIETER_ADDRESS", address.as_str()), ("VIETER_REPOS_FILE", "/list")];
        let config = Config::load(&MadeUp::new(&variables)).expect("a good configuration");
        let text = r#"[{"url": "https://a.example/b", "repo": "home"}, {"url": "https://a.example/c", "repo": "new"}]"#;
        let list = catalog::parse_file(text).expect("a list");
        let told = |arch| closed_repositories(&config, &list, arch).len();
        assert_eq!(told("x86_64"), 0);
        std::fs::create_dir_all(root.join("home/x86_64")).expect("made");
        // Nobody can write there, not even root.
        std::os::unix::fs::symlink("/proc/self", root.join("home/aarch64")).expect("made");
        assert_eq!((told("x86_64"), told("aarch64"), told("i686")), (0, 1, 0));
    }
}
