//! This machine, or this container: Git, and the directories that a run writes to.

use std::path::Path;

use super::findings::Finding;
use crate::config::{Config, ServerAddress};

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
    use super::super::findings::State;
    use super::*;

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
}
