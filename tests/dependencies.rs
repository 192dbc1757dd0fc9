//! What a build is built with: packages of the list, of the base image's repositories, and the newer of both.

mod common;

use std::time::Duration;

use common::{Kind, NEW, World};
use serde_json::Value;
use vieter_test_support::packages::{Package, depends_on, failing_build, git_version, tiny};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A failed entry blocks only those whose dependencies nobody else satisfies.
#[test]
fn the_base_images_repositories_stand_in_for_a_failed_entry() {
    let world = World::new(NEW);
    // libgreet is also a package of the base image's repositories.
    let failing = failing_build("libgreet-git").provides(&["libgreet"]);
    let served = Package::new("served").make_depends(&["libgreet"]);
    let stranded = Package::new("stranded").make_depends(&["libgreet-git"]);
    world.packages(&[failing, served, stranded]);
    world.build().assert_code(1);
    let report = world.report();
    assert_eq!(report.results(), ["libgreet-git: failed", "served: published", "stranded: blocked"]);
    assert_eq!(report.entry("stranded")["by"][0], "libgreet-git");
}

/// What the image has installed is not good enough when the destination repository has a newer one.
#[test]
fn a_newer_dependency_of_the_list_takes_the_installed_ones_place() {
    let world = World::new(Kind::Directory);
    let patch = tiny("patch", "9999.0", 1);
    let user = Package::new("user")
        .make_depends(&["patch"])
        .build_body("pacman -Q patch | grep -x 'patch 9999.0-1'");
    world.packages(&[user, patch]);
    world.build().assert_code(0);
    assert_eq!(world.report().results(), ["patch: published", "user: published"]);
    // An older one does not.
    let older = tiny("patch", "0.1", 1);
    world.git.repo("patch").commit_files(&older.files(), "Older");
    let user = Package::new("user")
        .version("2.0")
        .make_depends(&["patch"])
        .build_body("! pacman -Q patch | grep -x 'patch 0.1-1'");
    world.git.repo("user").commit_files(&user.files(), "New");
    world.build().assert_code(0);
    assert_eq!(world.report().results(), ["patch: published", "user: published"]);
}

/// Dependents that must be looked into are built again too, and nothing is when what they need failed.
#[test]
fn dependents_of_every_kind_are_built_again() {
    let world = World::new(Kind::Directory);
    let upstream = world.git.repo("upstream");
    upstream.commit_files(&[("text", "one")], "First");
    let rolling = git_version("rolling", &world.git.url_from_container("upstream")).depends(&["lib"]);
    world.packages(&[tiny("lib", "1.0", 1), rolling, depends_on("user", "lib")]);
    world.build().assert_code(0);
    let again = || world.run(world.vieter("build").env("VIETER_REBUILD_DEPENDENTS", "true"));
    world.git.repo("lib").commit_files(&failing_build("lib").version("1.1").files(), "Broken");
    again().assert_code(1);
    assert_eq!(world.report().results(), ["lib: failed", "rolling: up_to_date", "user: up_to_date"]);
    world.git.repo("lib").commit_files(&tiny("lib", "1.2", 1).files(), "Mended");
    again().assert_code(0);
    let report = world.report();
    assert_eq!(report.with_result("published"), ["lib", "rolling", "user"]);
    assert_eq!(report.entry("rolling")["reason"], "lib is built again");
}

/// With a warm cache nothing was fetched for the plan; what the branch has by the time of the build is built, by
/// what it says of itself then.
#[test]
fn a_branch_that_moves_between_plan_and_build_is_built_as_it_is() {
    let world = World::new(NEW);
    let slow = |version: &str| {
        tiny("slow", version, 1).build_body("for i in $(seq 15); do echo \"slow $i\"; sleep 1; done")
    };
    world.packages(&[slow("1.0"), failing_build("late")]);
    let cached = || world.vieter("build").env("VIETER_CACHE_DIR", world.path("cache"));
    world.run(cached()).assert_code(1);
    world.git.repo("slow").commit_files(&slow("1.1").files(), "New");
    let mut running = cached().spawn();
    let begun = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("slow 1"));
    running.wait_for_log(begun, PATIENCE);
    let moved = tiny("late", "2.0", 1).make_depends(&["libgreet"]);
    world.git.repo("late").commit_files(&moved.files(), "Moved");
    world.wait(running, PATIENCE).assert_code(0);
    world.assert_published(&["late 2.0-1", "slow 1.1-1"]);
}
