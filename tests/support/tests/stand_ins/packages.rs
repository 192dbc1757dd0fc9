use std::time::Instant;

use vieter_test_support::docker::{base_image, docker, output};
use vieter_test_support::git::GitServer;
use vieter_test_support::packages::{self, Package};
use vieter_test_support::unique;

/// A container in which packages can be built.
struct Builder {
    id: String,
}

impl Builder {
    fn new() -> Self {
        let id = docker(&["run", "--detach", "--rm", "--init", &base_image(), "sleep", "600"]);
        let builder = Self { id };
        // Docker hosts may allow a billion open files, which fakeroot tries one by one.
        let option = "$(pacman -S --help | grep -o -m 1 -e --disable-sandbox)";
        builder.must(&format!("pacman -Syu --noconfirm {option} base-devel git"));
        builder.must("useradd --create-home builder");
        builder
    }

    fn sh(&self, user: &str, script: &str) -> (bool, String) {
        let script = format!("ulimit -n 1024; {script}");
        let output = output(&["exec", "--user", user, &self.id, "sh", "-c", &script]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn must(&self, script: &str) -> String {
        let (good, text) = self.sh("root", script);
        assert!(good, "{script}: {text}");
        text
    }

    /// Copies a package in and runs something in its folder.
    fn run(&self, package: &Package, script: &str) -> (bool, String) {
        let dir = tempfile::tempdir().expect("a folder");
        for (path, contents) in package.files() {
            std::fs::write(dir.path().join(path), contents).expect("a file");
        }
        let folder = format!("/home/builder/{}", unique());
        docker(&["cp", &dir.path().display().to_string(), &format!("{}:{folder}", self.id)]);
        self.must(&format!("chown -R builder {folder} && chmod 755 {folder}"));
        self.sh("builder", &format!("cd {folder} && {script}"))
    }

    /// Builds a package; gives the names of the archives.
    fn build(&self, package: &Package) -> Vec<String> {
        let (good, text) = self.run(package, "makepkg --nodeps >&2 && ls *.pkg.tar*");
        assert!(good, "{}: {text}", package.base());
        let names = text.lines().filter(|line| line.ends_with(".pkg.tar.zst"));
        names.map(str::to_string).collect()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        output(&["rm", "--force", &self.id]);
    }
}

#[test]
fn packages_build_as_they_say() {
    let builder = Builder::new();
    let started = Instant::now();
    let tiny = packages::tiny("tiny", "1.0", 2);
    assert_eq!(builder.build(&tiny), ["tiny-1.0-2-x86_64.pkg.tar.zst"]);
    println!("a tiny package takes {:?}", started.elapsed());
    let epoch = packages::with_epoch("epochy", 2);
    assert_eq!(builder.build(&epoch), ["epochy-2:1.0-1-x86_64.pkg.tar.zst"]);
    assert_eq!(epoch.full_version(), "2:1.0-1");
    let split = packages::split("base", &["one", "two"]);
    let names = ["one-1.0-1-x86_64.pkg.tar.zst", "two-1.0-1-x86_64.pkg.tar.zst"];
    assert_eq!(builder.build(&split), names);
    let any = packages::any_arch("every");
    assert_eq!(builder.build(&any), ["every-1.0-1-any.pkg.tar.zst"]);
    let program = packages::c_program("hello");
    assert!(builder.build(&program).contains(&"hello-1.0-1-x86_64.pkg.tar.zst".to_string()));
    builder.build(&packages::with_options("options", &["!strip"]));
    builder.build(&packages::depends_on("user", "true"));
}

#[test]
fn a_version_comes_from_git() {
    let server = GitServer::start();
    let upstream = server.repo("upstream");
    upstream.commit_files(&[("file", "text")], "first");
    let hash = upstream.commit_files(&[("file", "more")], "second");
    let builder = Builder::new();
    let package = packages::git_version("versioned", &server.url_from_container("upstream"));
    let name = format!("versioned-r2.{}-1-x86_64.pkg.tar.zst", &hash[..7]);
    assert_eq!(builder.build(&package), [name]);
}

#[test]
fn broken_packages_break() {
    let builder = Builder::new();
    let (good, text) = builder.run(&packages::failing_build("failing"), "makepkg --nodeps");
    assert!(!good && text.contains("the build is broken on purpose"), "{text}");
    assert!(!builder.run(&packages::unparseable("unparseable"), "makepkg --printsrcinfo").0);
}

#[test]
fn srcinfo_is_what_makepkg_makes() {
    let builder = Builder::new();
    let lines = |text: &str| {
        let lines = text.lines().map(|line| line.trim().to_string());
        let mut lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        lines.sort();
        lines
    };
    let all = [
        packages::tiny("tiny", "1.0", 2).depends(&["glibc>=2", "bash"]).provides(&["small=1"]),
        packages::with_epoch("epochy", 2),
        packages::split("base", &["one", "two"]),
        packages::any_arch("every"),
        packages::c_program("hello"),
        packages::git_version("versioned", "git://git.example/upstream"),
        packages::with_options("options", &["!strip", "debug"]),
    ];
    for package in all {
        let (good, text) = builder.run(&package, "makepkg --printsrcinfo");
        assert!(good, "{text}");
        assert_eq!(lines(&text), lines(&package.srcinfo()));
    }
}
