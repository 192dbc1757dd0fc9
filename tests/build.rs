//! What is built, and that it can be installed: every kind of package, on every kind of package server.

mod common;

use common::web::Web;
use common::{Kind, NEW, OLD, REPO, Watch, World};
use vieter_test_support::packages::{Package, c_program, depends_on, git_version, split, tiny};
use vieter_test_support::vieter_server::Target;

/// A version with what survives in a URL without being encoded.
const ODD: &str = "1.0+r2~x_y!a,b;c=d@e";

#[test]
fn every_kind_of_package_into_a_directory() {
    every_kind_of_package(Kind::Directory);
}

#[test]
fn every_kind_of_package_to_the_old_server() {
    every_kind_of_package(OLD);
}

#[test]
fn every_kind_of_package_to_the_new_server() {
    every_kind_of_package(NEW);
}

/// Builds all, installs and runs all; builds nothing; builds what moved, alone.
fn every_kind_of_package(kind: Kind) {
    let world = World::new(kind);
    world.list(&entries(&world));
    world.build().assert_code(0);
    let rolling = rolling_version(&world, 1);
    let expected = [
        ("branched", "0.9-3"),
        ("lib", "1.0-1"),
        ("odd", &format!("{ODD}-1")),
        ("rolling", &rolling),
        ("split-one", "2:1.0-1"),
        ("split-two", "2:1.0-1"),
        ("user", "1.0-1"),
    ];
    let listed = expected.map(|(name, version)| format!("{name} {version}"));
    world.assert_published(&listed.each_ref().map(String::as_str));
    let report = world.report();
    let all = ["branched", "lib", "odd", "parts", "rolling", "user"];
    assert_eq!(report.with_result("published"), all);
    let place = |name: &str| report.results().iter().position(|line| line.starts_with(name));
    assert!(place("lib:") < place("user:"), "built in the wrong order: {:?}", report.results());

    // What has to be looked into every night has its sources kept, each entry its own.
    assert_eq!(world.source_volumes().len(), 2);

    let client = world.client();
    client.install(&expected.map(|(name, _)| name));
    for (name, version) in expected {
        assert_eq!(client.version_of(name), version);
        let without_epoch = version.rsplit(':').next().unwrap_or(version);
        assert_eq!(client.must(&[name]), format!("{name} {without_epoch}"));
    }

    let watch = Watch::start();
    let finished = world.build();
    finished.assert_code(0);
    let report = world.report();
    assert_eq!(report.with_result("up_to_date"), all);
    assert_eq!(world.source_volumes().len(), 2);
    // `rolling` has a `pkgver()`, and `odd` computes its file names.
    assert_eq!(watch.builds(&finished), 2, "{:#}", report.0);
    assert_eq!(report.steps("rolling"), ["clone", "version", "check"]);
    assert_eq!(report.steps("odd"), ["clone", "version", "check"]);

    world.git.repo("upstream").commit("One more");
    world.git.repo("lib").commit_files(&tiny("lib", "1.0", 2).files(), "New release");
    let finished = world.build();
    finished.assert_code(0);
    let report = world.report();
    assert_eq!(report.with_result("published"), ["lib", "rolling"]);
    assert_eq!(report.with_result("up_to_date"), ["branched", "odd", "parts", "user"]);
    world.upgrade(&client);
    assert_eq!(client.version_of("lib"), "1.0-2");
    assert_eq!(client.version_of("rolling"), rolling_version(&world, 2));
}

fn entries(world: &World) -> Vec<Target> {
    world.git.repo("upstream").commit_files(&[("readme", "Upstream")], "Start");
    let upstream = world.git.url_from_container("upstream");
    let branched = world.git.package(&tiny("branched", "0.9", 3).arch("any"));
    branched.switch("stable");
    branched.switch("main");
    branched.commit_files(&tiny("branched", "1.0", 1).files(), "Not for the stable branch");
    // The one that needs the other comes first in the list, and both are new: so the repository from which
    // the dependency is taken has just come into being.
    let packages = [
        depends_on("user", "lib").check_depends(&["lib"]).check_body("lib"),
        tiny("lib", "1.0", 1),
        tiny("odd", &format!("'{ODD}'"), 1).options(&["!strip", "emptydirs"]).line("PKGEXT='.pkg.tar.xz'"),
        git_version("rolling", &upstream),
        split("parts", &["split-one", "split-two"]).epoch(2),
    ];
    let mut entries: Vec<Target> = packages.iter().map(|package| world.entry(package)).collect();
    entries.push(Target::git(world.git.url("branched"), REPO).branch("stable"));
    entries
}

fn rolling_version(world: &World, commits: usize) -> String {
    let head = world.git.repo("upstream").head();
    format!("r{commits}.{}-1", &head[..7])
}

/// Everything that makepkg takes in a version: ASCII without blanks, `/`, `:` and `-`. Not all of it comes
/// through the URLs that pacman makes, but that is between pacman and whoever chooses such a version.
const EVERY_CHARACTER: &str = r##"1.0!"#$%&()*+,.;<=>?@[\]^_`{|}~Z"##;

#[test]
fn every_character_in_a_version() {
    for kind in [Kind::Directory, OLD, NEW] {
        let world = World::new(kind);
        world.packages(&[tiny("strange", &format!("'{EVERY_CHARACTER}'"), 1)]);
        world.build().assert_code(0);
        world.assert_published(&[&format!("strange {EVERY_CHARACTER}-1")]);
        world.build().assert_code(0);
        assert_eq!(world.report().with_result("up_to_date"), ["strange"]);
    }
}

#[test]
fn folders_of_a_repository_and_single_files() {
    let world = World::new(NEW);
    let many = world.git.repo("many");
    many.commit_files(&tiny("deep", "1.0", 1).files_in("packages/deep"), "One");
    many.commit_files(&tiny("flat", "1.0", 1).files_in("flat"), "Another");
    let web = Web::start();
    let single = web.serve("single/PKGBUILD", &tiny("single", "1.0", 1).pkgbuild());
    let url = world.git.url("many");
    let folder = |path: &str| Target::git(&url, REPO).path(path);
    world.list(&[
        folder("packages/deep"),
        folder("flat"),
        folder("nothing/here"),
        Target::url(single, REPO),
        Target::url(format!("{}/missing", web.url()), REPO),
    ]);
    let finished = world.build();
    finished.assert_code(1);
    world.assert_published(&["deep 1.0-1", "flat 1.0-1", "single 1.0-1"]);
    assert_eq!(world.git.requests("many"), 1, "folders of one repository are fetched together");
    let report = world.report();
    report.assert_failed("many nothing/here", "clone", &["no PKGBUILD", "nothing/here"]);
    report.assert_failed("missing", "clone", &["cannot download", "404"]);
    assert_eq!(world.build().code(), Some(1));
    assert_eq!(world.report().with_result("up_to_date"), ["deep", "flat", "single"]);
}

#[test]
fn debug_packages_are_made_where_they_are_wanted() {
    let world = World::new(Kind::Directory);
    world.packages(&[c_program("hello"), tiny("script", "1.0", 1)]);
    world.build().assert_code(0);
    world.assert_published(&["hello 1.0-1", "script 1.0-1"]);

    let wanted = || world.vieter("build").env("VIETER_DEBUG_PACKAGES", "yes");
    world.run(wanted().env("VIETER_FORCE", "true")).assert_code(0);
    // A script leaves no debug symbols, and so no such package.
    world.assert_published(&["hello 1.0-1", "hello-debug 1.0-1", "script 1.0-1"]);
    let client = world.client();
    client.install(&["hello", "hello-debug"]);
    assert_eq!(client.must(&["hello"]), "Hello from hello");
    let files = client.pacman(&["-Ql", "hello-debug"]);
    assert!(files.contains("/usr/lib/debug/usr/bin/hello.debug"), "{files}");
}

#[test]
fn limits_and_settings_reach_makepkg() {
    let world = World::new(Kind::Directory);
    let shown = "echo \"jobs: $MAKEFLAGS\"; echo \"packager: $PACKAGER\"; echo \"nofile: $(ulimit -n)\"";
    world.packages(&[Package::new("told").build_body(shown)]);
    let finished = world.run(
        world
            .vieter("build")
            .env("VIETER_CPUS", "1.5")
            .env("VIETER_PACKAGER", "Jan d'Arc <jan@example.org>")
            .env("VIETER_NOFILE", "2048"),
    );
    finished.assert_code(0);
    for line in ["jobs: -j2", "packager: Jan d'Arc <jan@example.org>", "nofile: 2048"] {
        assert_eq!(finished.messages(line).len(), 1, "{line}: {}", finished.stderr);
    }
    let client = world.client();
    client.install(&["told"]);
    assert!(client.pacman(&["-Qi", "told"]).contains("Jan d'Arc <jan@example.org>"));
}
