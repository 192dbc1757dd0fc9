//! Looking before building: decisions, order, selection, shards, what is kept between nights.

mod common;

use std::fs;
use std::time::Duration;

use common::{Kind, NEW, OLD, REPO, Watch, World, files_below};
use serde_json::Value;
use vieter_test_support::packages::{Package, depends_on, failing_build, split, tiny, with_epoch};
use vieter_test_support::vieter_server::{Failure, Target, on};

/// The plan's rows as `pkgbase: decision`, in order.
fn rows(plan: &Value) -> Vec<String> {
    let entries = plan["entries"].as_array().expect("a plan has entries");
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    entries.iter().map(|entry| format!("{}: {}", text(&entry["pkgbase"]), text(&entry["decision"]))).collect()
}

fn reason(plan: &Value, pkgbase: &str) -> String {
    let entries = plan["entries"].as_array().expect("a plan has entries");
    let entry = entries.iter().find(|entry| entry["pkgbase"] == pkgbase);
    entry.unwrap_or_else(|| panic!("{pkgbase} is not in {plan:#}"))["reason"]
        .as_str()
        .unwrap_or("")
        .to_owned()
}

fn with_srcinfo(world: &World, package: &Package) -> Target {
    world.git.repo(package.base()).commit_files(&package.files_with_srcinfo(), "With .SRCINFO");
    Target::git(world.git.url(package.base()), REPO)
}

/// Everything that can be known from outside is known, on a server that has some of it; nothing is changed and no
/// container is started.
#[test]
fn the_plan_says_why_and_changes_nothing() {
    for kind in [OLD, NEW] {
        let world = World::without_image(kind);
        let computed = Package::new("computed").line("pkgver=$(echo 1.0)");
        let rolling = Package::new("rolling").pkgver_body("echo 7");
        let disagreeing = tiny("disagreeing", "1.1", 1);
        let mut entries = vec![
            with_srcinfo(&world, &depends_on("user", "lib")),
            with_srcinfo(&world, &tiny("lib", "1.0", 1)),
            world.entry(&with_epoch("epochal", 2)),
            world.entry(&split("parts", &["part-one", "part-two"])),
            world.entry(&computed),
            world.entry(&rolling),
            world.entry(&disagreeing),
            world.entry(&tiny("elsewhere", "1.0", 1)).arch(&["aarch64"]),
        ];
        let repo = world.git.repo("disagreeing");
        repo.commit_files(&[(".SRCINFO", &tiny("disagreeing", "1.0", 1).srcinfo())], "Forgotten");
        entries.push(Target::git(world.git.url("nowhere"), REPO));
        world.list(&entries);
        let server = world.server();
        server.pretend_package(REPO, "x86_64", "lib", "1.0-1");
        server.pretend_package(REPO, "x86_64", "epochal", "1.0-1");
        server.pretend_package(REPO, "x86_64", "part-one", "1.0-1");
        let watch = Watch::start();
        let finished = world.run(world.vieter("plan"));
        finished.assert_code(0);
        assert_eq!(watch.roles(&finished), [""; 0]);
        let plan: Value = serde_json::from_str(&finished.stdout).expect("the plan is JSON");
        assert_eq!(
            rows(&plan),
            [
                "lib: up_to_date",
                "user: build",
                "epochal: build",
                "parts: build",
                "computed: look_inside",
                "rolling: look_inside",
                "disagreeing: look_inside",
                "?: skip",
                "?: failed",
            ]
        );
        assert_eq!(reason(&plan, "user"), "new");
        assert_eq!(reason(&plan, "epochal"), "outdated, the server has 1.0-1");
        assert_eq!(reason(&plan, "parts"), "the server lacks part-two");
        assert!(reason(&plan, "rolling").contains("pkgver()"), "{plan:#}");
        assert!(reason(&plan, "disagreeing").contains("differ in version"), "{plan:#}");
        assert!(server.requests_of("POST", "").is_empty());
        assert_eq!(files_below(&world.path("report")), [""; 0]);
    }
}

#[test]
fn the_table_is_for_people() {
    let world = World::without_image(Kind::Directory);
    world.packages(&[depends_on("user", "lib"), tiny("lib", "1.0", 1)]);
    let finished = world.run(world.vieter("plan").env("VIETER_PLAN_FORMAT", "table"));
    finished.assert_code(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", finished.stdout);
    assert!(lines[0].starts_with("PACKAGE BASE  VERSION"), "{}", finished.stdout);
    assert!(lines[1].starts_with("lib ") && lines[2].starts_with("user "), "{}", finished.stdout);
    assert!(lines[2].ends_with("new; after lib"), "{}", finished.stdout);
    assert_eq!(lines[3], "2 to build, 0 to look into, 0 up to date, 0 skipped, 0 failed");
}

/// A night with nothing to do: no container, no image work, no upload.
#[test]
fn nothing_to_do_starts_nothing() {
    let world = World::without_image(NEW);
    world.packages(&[tiny("one", "1.0", 1), split("two", &["two-a", "two-b"])]);
    for name in ["one", "two-a", "two-b"] {
        world.server().pretend_package(REPO, "x86_64", name, "1.0-1");
    }
    let watch = Watch::start();
    // An image that does not exist: nobody must want it.
    let finished = world.run(world.vieter("build").env("VIETER_BASE_IMAGE", "vieter.invalid/none:1"));
    finished.assert_code(0);
    assert_eq!(watch.roles(&finished), [""; 0]);
    assert_eq!(world.report().with_result("up_to_date"), ["one", "two"]);
    assert!(world.server().requests_of("POST", "").is_empty());
}

/// An entry is built after what it needs, with what was just built; what needs a failed one is blocked, unless
/// the published one does.
#[test]
fn order_and_blocked_dependents() {
    let world = World::new(NEW);
    let library = |version: &str| tiny("lib", version, 1).provides(&[&format!("libvirtual={version}")]);
    let picky = Package::new("picky").make_depends(&["libvirtual>=2"]);
    let broken = failing_build("broken");
    world.packages(&[picky, depends_on("victim", "broken"), library("2.0"), broken, tiny("free", "1.0", 1)]);
    world.build().assert_code(1);
    let report = world.report();
    let results = report.results();
    assert_eq!(
        results,
        ["lib: published", "picky: published", "broken: failed", "victim: blocked", "free: published"]
    );
    assert_eq!(report.entry("victim")["by"][0], "broken");
    // Now a version of it is there, which is good enough for the victim.
    world.git.repo("broken").commit_files(&tiny("broken", "1.0", 1).files(), "Mended");
    world.build().assert_code(0);
    world.git.repo("broken").commit_files(&failing_build("broken").version("1.1").files(), "Broken again");
    world.git.repo("victim").commit_files(&depends_on("victim", "broken").version("1.1").files(), "New");
    world.build().assert_code(1);
    let report = world.report();
    assert_eq!(report.with_result("failed"), ["broken"]);
    assert_eq!(report.with_result("published"), ["victim"]);
}

#[test]
fn a_cycle_is_named_and_both_are_tried_in_the_list_s_order() {
    let world = World::without_image(Kind::Directory);
    world.packages(&[depends_on("hen", "egg"), depends_on("egg", "hen")]);
    let finished = world.run(world.vieter("plan"));
    finished.assert_code(0);
    let plan: Value = serde_json::from_str(&finished.stdout).expect("the plan is JSON");
    assert_eq!(plan["cycles"], serde_json::json!([["hen", "egg"]]));
    assert_eq!(finished.messages("need each other").len(), 1, "{}", finished.stderr);
}

/// Only, ignore and force, also where the package base is not known before a container tells it.
#[test]
fn the_user_selects() {
    let world = World::new(Kind::Directory);
    // Its name takes a look inside, but not its sources, which cannot be had.
    let hidden =
        Package::new("hidden-two").line("pkgname=$(echo hidden-two)").source("http://127.0.0.1:1/gone");
    world.packages(&[tiny("wanted-one", "1.0", 1), tiny("other", "1.0", 1), hidden]);
    let build = |name: &str, value: &str| world.run(world.vieter("build").env(name, value));
    build("VIETER_ONLY", "wanted-*").assert_code(0);
    world.assert_published(&["wanted-one 1.0-1"]);
    assert_eq!(world.report().with_result("skipped").len(), 2);
    build("VIETER_IGNORE", "o?her, hidden-*").assert_code(0);
    world.assert_published(&["wanted-one 1.0-1"]);
    let report = world.report();
    assert_eq!(report.with_result("skipped"), ["hidden-two", "other"]);
    let forced =
        world.run(world.vieter("build").env("VIETER_FORCE", "wanted-one").env("VIETER_ONLY", "wanted-one"));
    forced.assert_code(0);
    let report = world.report();
    assert_eq!(report.with_result("published"), ["wanted-one"]);
    assert_eq!(report.entry("wanted-one")["reason"], "forced");
}

#[test]
fn shards_share_the_list() {
    let world = World::without_image(Kind::Directory);
    let mut packages: Vec<Package> = (0..8).map(|n| tiny(&format!("single{n}"), "1.0", 1)).collect();
    packages.extend([tiny("lib", "1.0", 1), depends_on("user", "lib")]);
    world.packages(&packages);
    let mut taken = Vec::new();
    for index in 0..3 {
        let settings = [("VIETER_SHARD_COUNT", "3".to_owned()), ("JOB_COMPLETION_INDEX", index.to_string())];
        let vieter = settings.iter().fold(world.vieter("plan"), |v, (name, value)| v.env(name, value));
        let finished = world.run(vieter);
        finished.assert_code(0);
        let plan: Value = serde_json::from_str(&finished.stdout).expect("the plan is JSON");
        let mine: Vec<String> = rows(&plan).into_iter().filter(|row| row.ends_with(": build")).collect();
        assert_eq!(mine.iter().any(|r| r.starts_with("lib:")), mine.iter().any(|r| r.starts_with("user:")));
        taken.extend(mine);
    }
    taken.sort();
    let count = taken.len();
    taken.dedup();
    assert_eq!((taken.len(), count), (10, 10));
}

/// With a cache, a repository whose tip has not moved is not fetched; a damaged or lost cache costs a fetch and
/// nothing else.
#[test]
fn the_git_cache_saves_fetches_and_nothing_rests_on_it() {
    let world = World::without_image(NEW);
    world.packages(&[tiny("one", "1.0", 1), tiny("two", "1.0", 1)]);
    let cache = world.path("cache");
    let plan = || {
        let finished = world.run(world.vieter("plan").env("VIETER_CACHE_DIR", &cache));
        finished.assert_code(0);
        rows(&serde_json::from_str(&finished.stdout).expect("the plan is JSON"))
    };
    let expected = ["one: build", "two: build"];
    let requests = || world.git.requests("one");
    assert_eq!(plan(), expected);
    let cold = requests();
    assert_eq!(plan(), expected);
    let warm = requests() - cold;
    assert!(warm < cold && warm >= 1, "{cold} requests cold, {warm} warm");
    for file in files_below(&cache) {
        let path = cache.join(&file);
        let text = fs::read(&path).expect("a file of the cache");
        // A version that the server has, so that believing the cache would skip the build.
        let lie: Vec<u8> = String::from_utf8_lossy(&text).replace("49,46,48", "57,46,57").into_bytes();
        fs::write(&path, if lie == text { b"garbage".to_vec() } else { lie })
            .expect("the cache can be damaged");
    }
    world.server().pretend_package(REPO, "x86_64", "one", "9.9-1");
    assert_eq!(plan(), expected);
    fs::remove_dir_all(&cache).expect("the cache can be removed");
    assert_eq!(plan(), expected);
    world.git.repo("one").commit_files(&tiny("one", "9.9", 1).files(), "Moved");
    assert_eq!(plan(), ["one: up_to_date", "two: build"]);
    // A cache that cannot be used is a warning.
    fs::write(world.path("file"), "").expect("a file");
    let finished = world.run(world.vieter("plan").env("VIETER_CACHE_DIR", world.path("file")));
    finished.assert_code(0);
    assert_eq!(finished.messages("VIETER_CACHE_DIR").len(), 1, "{}", finished.stderr);
}

/// Entries that share a repository and branch are fetched once.
#[test]
fn one_repository_with_a_folder_a_package_is_fetched_once() {
    let world = World::without_image(Kind::Directory);
    let repo = world.git.repo("all");
    let mut entries = Vec::new();
    for n in 0..20 {
        let name = format!("folder{n}");
        repo.commit_files(&tiny(&name, "1.0", 1).files_in(&name), "One more");
        entries.push(Target::git(world.git.url("all"), REPO).path(&name));
    }
    entries.push(Target::git(world.git.url("all"), REPO).path("absent"));
    world.list(&entries);
    let plan = world.plan();
    assert_eq!(rows(&plan).iter().filter(|row| row.ends_with(": build")).count(), 20);
    assert_eq!(world.git.requests("all"), 1);
    let absent = plan["entries"].as_array().and_then(|e| e.last()).expect("entries")["reason"].clone();
    assert!(absent.as_str().unwrap_or("").contains("no PKGBUILD in a folder absent"), "{absent}");
}

/// Looking is bounded, and a server that stumbles is asked again.
#[test]
fn looking_is_polite_and_tries_again() {
    let world = World::without_image(NEW);
    let packages: Vec<Package> = (0..24).map(|n| tiny(&format!("p{n}"), "1.0", 1)).collect();
    world.packages(&packages);
    world.server().fail_next(on("HEAD", "/repo/"), Failure::Delay(Duration::from_millis(100)), 20);
    world.server().fail_next(on("HEAD", "p5-"), Failure::DropConnection, 1);
    world.server().fail_next(on("GET", "/api/v1/targets"), Failure::Status(503), 1);
    let finished = world.run(world.vieter("plan"));
    finished.assert_code(0);
    let plan: Value = serde_json::from_str(&finished.stdout).expect("the plan is JSON");
    assert_eq!(rows(&plan).iter().filter(|row| row.ends_with(": build")).count(), 24);
    let most = world.server().peak_requests();
    assert!((2..=4).contains(&most), "{most} at once");
}

#[test]
fn dependents_are_built_again_when_wanted() {
    let world = World::new(Kind::Directory);
    world.packages(&[tiny("lib", "1.0", 1), depends_on("user", "lib")]);
    world.build().assert_code(0);
    world.git.repo("lib").commit_files(&tiny("lib", "1.1", 1).files(), "New");
    let finished = world.run(world.vieter("build").env("VIETER_REBUILD_DEPENDENTS", "true"));
    finished.assert_code(0);
    let report = world.report();
    assert_eq!(report.with_result("published"), ["lib", "user"]);
    assert_eq!(report.entry("user")["reason"], "lib is built again");
}
