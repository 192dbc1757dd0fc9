//! A static repository: what is on the disk, and that whoever reads it meanwhile never sees half of it.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::database::{self, Package as Found};
use common::{ARCH, Kind, REPO, World, files_below};
use vieter_test_support::packages::{split, tiny};

/// What a repository has on disk besides its packages.
const DATABASES: [&str; 4] = ["repo.db", "repo.db.tar.gz", "repo.files", "repo.files.tar.gz"];

#[test]
fn readers_never_see_half_a_change() {
    let world = World::new(Kind::Directory);
    let folder = world.directory().join(REPO).join(ARCH);
    let parts = |version: &str| split("parts", &["part-a", "part-b"]).version(version);
    world.packages(&[parts("1.0"), tiny("other", "1.0", 1).arch("any")]);
    let reader = Reader::start(&folder);
    world.build().assert_code(0);
    assert_eq!(on_disk(&folder), ["other-1.0-1-any", "part-a-1.0-1-x86_64", "part-b-1.0-1-x86_64"]);
    assert_readable_by_all(&folder);

    for version in ["1.1", "1.2"] {
        world.git.repo("parts").commit_files(&parts(version).files(), version);
        world.build().assert_code(0);
        let (a, b) = (format!("part-a-{version}-1-x86_64"), format!("part-b-{version}-1-x86_64"));
        assert_eq!(on_disk(&folder), ["other-1.0-1-any", &a, &b], "old versions are removed");
    }
    let seen = reader.finish();
    let has = |state: &[&str]| seen.iter().any(|names| names == state);
    for version in ["1.0", "1.1", "1.2"] {
        let (a, b) = (format!("part-a {version}-1"), format!("part-b {version}-1"));
        assert!(has(&["other 1.0-1", &a, &b]), "not seen: {version} in {seen:?}");
    }
    // A package base is published as a whole.
    let halves = |names: &&Vec<String>| names.iter().filter(|name| name.starts_with("part-")).count() == 1;
    assert_eq!(seen.iter().find(halves), None);

    // A package that lost its file is made again.
    fs::remove_file(folder.join("other-1.0-1-any.pkg.tar.zst")).expect("remove a file");
    world.build().assert_code(0);
    assert_eq!(world.report().with_result("published"), ["other"]);
    assert!(folder.join("other-1.0-1-any.pkg.tar.zst").is_file());
}

#[test]
fn what_repo_add_refuses_leaves_the_repository_as_it_was() {
    let world = World::new(Kind::Directory);
    let folder = world.directory().join(REPO).join(ARCH);
    world.packages(&[tiny("first", "1.0", 1)]);
    world.build().assert_code(0);
    let before = contents(&folder);
    // Somebody has damaged the database.
    fs::write(folder.join("repo.db.tar.gz"), "garbage").expect("write a file");
    world.packages(&[tiny("second", "1.0", 1)]);
    world.build().assert_code(1);
    let report = world.report();
    report.assert_failed("second", "server", &["repo.db.tar.gz", "the database"]);
    fs::write(folder.join("repo.db.tar.gz"), &before[1].1).expect("write a file");
    assert_eq!(contents(&folder), before);
    world.build().assert_code(0);
    // What is no longer in the list keeps its packages.
    world.assert_published(&["first 1.0-1", "second 1.0-1"]);
}

/// The names of the package files without their ends; fails when anything else is there but the databases.
fn on_disk(folder: &Path) -> Vec<String> {
    let files = files_below(folder).into_iter().filter(|file| !DATABASES.contains(&file.as_str()));
    let stem = |file: String| match file.strip_suffix(".pkg.tar.zst") {
        Some(stem) => stem.to_owned(),
        None => panic!("what is {file}?"),
    };
    files.map(stem).collect()
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |file: String| {
        let bytes = fs::read(folder.join(&file)).expect("read a file");
        (file, bytes)
    };
    files_below(folder).into_iter().map(read).collect()
}

/// A web server is another user than the one that builds.
fn assert_readable_by_all(folder: &Path) {
    for file in files_below(folder) {
        let mode = fs::metadata(folder.join(&file)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o444, 0o444, "{file} has mode {mode:o}");
    }
    for folder in folder.ancestors().take(3) {
        let mode = fs::metadata(folder).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o555, 0o555, "{} has mode {mode:o}", folder.display());
    }
}

/// Reads the database again and again, as somebody who installs from the repository would.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<String>>>,
}

impl Reader {
    fn start(folder: &Path) -> Self {
        let (stop, folder) = (Arc::new(AtomicBool::new(false)), folder.to_owned());
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut seen: Vec<Vec<String>> = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let packages = look(&folder);
                let names = packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
                if seen.last() != Some(&names) {
                    seen.push(names);
                }
                thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        Self { stop, thread }
    }

    /// All states that were seen, in order.
    fn finish(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("every state that was read made sense")
    }
}

/// The packages of the database at this moment; fails when the file of one is not there.
fn look(folder: &Path) -> Vec<Found> {
    loop {
        let Some(before) = identity(folder) else {
            return Vec::new();
        };
        let packages = database::parse(&folder.join("repo.db"));
        let missing: Option<PathBuf> = packages.as_ref().ok().and_then(|packages| {
            let mut files = packages.iter().map(|package| folder.join(&package.file));
            files.find(|file| !file.is_file())
        });
        // What was replaced meanwhile is no longer to be relied on.
        if identity(folder) == Some(before) {
            let packages = packages.expect("the database can be read");
            assert_eq!(missing, None, "it is in the database and not on the disk");
            return packages;
        }
    }
}

fn identity(folder: &Path) -> Option<(u64, i64)> {
    let metadata = fs::metadata(folder.join("repo.db")).ok()?;
    Some((metadata.ino(), metadata.mtime_nsec()))
}
