//! The sources of what must be looked into every night are kept, pruned, and never hide what is new.

mod common;

use std::fs;
use std::sync::Mutex;

use common::web::Web;
use common::{Kind, World, lock};
use vieter_test_support::docker;
use vieter_test_support::packages::{Package, git_version, tiny};

/// What one prunes, another may be using: there is one set-up.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The sources of what must be looked into every night are kept in a volume of the entry's own, and pruned.
#[test]
fn sources_are_kept_for_pkgver_packages_and_pruned() {
    let _alone = lock(&ONE_AT_A_TIME);
    let world = World::new(Kind::Directory);
    let upstream = world.git.repo("upstream");
    upstream.commit_files(&[("text", "one")], "First");
    let url = world.git.url_from_container("upstream");
    let git = |name: &str| git_version(name, &url);
    world.packages(&[git("first-git"), git("second-git")]);
    world.build().assert_code(0);
    let volumes = world.source_volumes();
    assert_eq!(volumes.len(), 2, "one for each entry");
    let first_night = world.git.requests("upstream");
    world.build().assert_code(0);
    assert_eq!(world.report().with_result("up_to_date"), ["first-git", "second-git"]);
    assert!(world.git.requests("upstream") > first_night, "looked for something new");
    // Room for nothing: all go that no build uses, but only ours.
    let other = world.vieter("build").env("VIETER_IGNORE", "*-git").env("VIETER_FORCE", "other");
    world.packages(&[git("first-git"), git("second-git"), tiny("other", "1.0", 1)]);
    world.run(other.env("VIETER_SOURCE_CACHE", "1")).assert_code(0);
    assert_eq!(world.source_volumes(), [""; 0]);
    let finished = world.run(world.vieter("build").env("VIETER_SOURCE_CACHE", "0"));
    finished.assert_code(0);
    assert_eq!(world.source_volumes(), [""; 0]);
    assert!(!docker::docker(&["volume", "ls", "--quiet"]).is_empty(), "the decoy's volume is still there");
}

/// Its version is what a file says that has the same name every night.
fn nightly(url: &str) -> Package {
    Package::new("filed").source(&format!("{url}/nightly")).pkgver_body("cat nightly")
}

#[test]
fn what_is_kept_never_hides_what_is_new() {
    let _alone = lock(&ONE_AT_A_TIME);
    let (world, web) = (World::new(Kind::Directory), Web::start());
    let upstream = world.git.repo("upstream");
    upstream.commit_files(&[("text", "one")], "First");
    let from = |name: &str| git_version("clone-git", &world.git.url_from_container(name));
    let filed = nightly(&web.url_from_container());
    web.serve("nightly", "1");
    world.packages(&[from("upstream"), filed.clone()]);
    world.build().assert_code(0);

    // makepkg takes a file that is there, and stays on the branch that a clone was made with.
    web.serve("nightly", "2");
    upstream.switch("next");
    upstream.commit("On the branch that is the default now");
    world.build().assert_code(0);
    assert_eq!(world.report().with_result("published"), ["clone-git", "filed"]);
    let version = format!("r2.{}", &upstream.head()[..7]);
    assert_eq!(world.report().entry("clone-git")["version"], format!("{version}-1"));
    assert_eq!(world.report().entry("filed")["version"], "2-1");

    // Another origin in the same place: makepkg refuses the clone that is there.
    let moved = world.git.repo("moved");
    for text in ["one", "two", "three"] {
        moved.commit_files(&[("text", text)], text);
    }
    world.packages(&[from("moved"), filed.clone()]);
    world.build().assert_code(0);
    assert_eq!(world.report().with_result("published"), ["clone-git"]);

    // makepkg only warns when a clone cannot be brought up to date.
    fs::remove_dir_all(moved.path()).expect("take the upstream away");
    world.build().assert_code(1);
    assert_eq!(world.report().with_result("up_to_date"), ["filed"]);
    world.report().assert_failed("clone-git", "version", &["exit code 1"]);
}
