//! Small packages to build: PKGBUILDs that need no network and are done within a second.

mod archive;

use std::fmt::Write;

pub use archive::{Compression, archive, compress, tar_of};

/// A package base in the making; [`files`](Self::files) is what goes into a Git repository.
#[derive(Debug, Clone)]
pub struct Package {
    base: String,
    names: Vec<String>,
    version: String,
    release: String,
    epoch: Option<u32>,
    arrays: Vec<(&'static str, Vec<String>)>,
    functions: Vec<(String, String)>,
    lines: Vec<String>,
    files: Vec<(String, String)>,
    pkgbuild: Option<String>,
}

/// A script of a package that prints its name and version when it is run.
fn script(name: &str) -> String {
    format!(
        "install -d \"$pkgdir/usr/bin\"\n\
         printf '#!/bin/sh\\necho \"{name} %s-%s\"\\n' \"$pkgver\" \"$pkgrel\" > \"$pkgdir/usr/bin/{name}\"\n\
         chmod 755 \"$pkgdir/usr/bin/{name}\""
    )
}

impl Package {
    /// Version 1.0-1 for x86_64, which installs `/usr/bin/<name>`, a script that prints name
    /// and version.
    pub fn new(name: &str) -> Self {
        Self {
            base: name.to_string(),
            names: vec![name.to_string()],
            version: "1.0".to_string(),
            release: "1".to_string(),
            epoch: None,
            arrays: vec![("arch", vec!["x86_64".to_string()]), ("license", vec!["MIT".to_string()])],
            functions: vec![("package".to_string(), script(name))],
            lines: Vec::new(),
            files: Vec::new(),
            pkgbuild: None,
        }
    }

    /// `pkgver`.
    pub fn version(self, version: &str) -> Self {
        Self { version: version.to_string(), ..self }
    }

    /// `pkgrel`.
    pub fn release(self, release: impl ToString) -> Self {
        Self { release: release.to_string(), ..self }
    }

    /// `epoch`.
    pub fn epoch(self, epoch: u32) -> Self {
        Self { epoch: Some(epoch), ..self }
    }

    /// `arch`, one value only.
    pub fn arch(self, arch: &str) -> Self {
        self.array("arch", &[arch])
    }

    /// `depends`.
    pub fn depends(self, names: &[&str]) -> Self {
        self.array("depends", names)
    }

    /// `makedepends`.
    pub fn make_depends(self, names: &[&str]) -> Self {
        self.array("makedepends", names)
    }

    /// `checkdepends`.
    pub fn check_depends(self, names: &[&str]) -> Self {
        self.array("checkdepends", names)
    }

    /// `provides`.
    pub fn provides(self, names: &[&str]) -> Self {
        self.array("provides", names)
    }

    /// `options`.
    pub fn options(self, options: &[&str]) -> Self {
        self.array("options", options)
    }

    /// Any array of the PKGBUILD, in the place of what it was.
    pub fn array(mut self, name: &'static str, values: &[&str]) -> Self {
        self.arrays.retain(|(key, _)| *key != name);
        self.arrays.push((name, values.iter().map(|value| value.to_string()).collect()));
        self
    }

    /// `prepare()`.
    pub fn prepare_body(self, body: &str) -> Self {
        self.function("prepare", body)
    }

    /// `pkgver()`.
    pub fn pkgver_body(self, body: &str) -> Self {
        self.function("pkgver", body)
    }

    /// `build()`.
    pub fn build_body(self, body: &str) -> Self {
        self.function("build", body)
    }

    /// `check()`.
    pub fn check_body(self, body: &str) -> Self {
        self.function("check", body)
    }

    /// `package()`, in the place of the script.
    pub fn package_body(self, body: &str) -> Self {
        self.function("package", body)
    }

    /// Any function of the PKGBUILD, in the place of what it was.
    pub fn function(mut self, name: &str, body: &str) -> Self {
        self.functions.retain(|(key, _)| key != name);
        self.functions.push((name.to_string(), body.to_string()));
        self
    }

    /// A line at the top level of the PKGBUILD, before the functions.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_string());
        self
    }

    /// Another file of the Git repository; not a source of the PKGBUILD.
    pub fn file(mut self, path: &str, contents: &str) -> Self {
        self.files.push((path.to_string(), contents.to_string()));
        self
    }

    /// A file that is a source of the PKGBUILD.
    pub fn source_file(self, path: &str, contents: &str) -> Self {
        self.source(path).file(path, contents)
    }

    /// A `source` whose checksum is skipped.
    pub fn source(mut self, source: &str) -> Self {
        for (name, value) in [("source", source), ("sha256sums", "SKIP")] {
            match self.arrays.iter_mut().find(|(key, _)| *key == name) {
                Some((_, values)) => values.push(value.to_string()),
                None => self.arrays.push((name, vec![value.to_string()])),
            }
        }
        self
    }

    /// The name of the package base.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `[epoch:]pkgver-pkgrel`.
    pub fn full_version(&self) -> String {
        let epoch = self.epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
        format!("{epoch}{}-{}", self.version, self.release)
    }

    /// The text of the PKGBUILD.
    pub fn pkgbuild(&self) -> String {
        if let Some(text) = &self.pkgbuild {
            return text.clone();
        }
        let mut text = String::new();
        match self.names.as_slice() {
            [name] if *name == self.base => text.push_str(&format!("pkgname={name}\n")),
            names => text.push_str(&format!("pkgbase={}\npkgname=({})\n", self.base, quoted(names))),
        }
        text.push_str(&format!("pkgver={}\npkgrel={}\n", self.version, self.release));
        if let Some(epoch) = self.epoch {
            text.push_str(&format!("epoch={epoch}\n"));
        }
        text.push_str(&format!("pkgdesc='The {} of a test'\n", self.base));
        for (name, values) in &self.arrays {
            text.push_str(&format!("{name}=({})\n", quoted(values)));
        }
        for line in &self.lines {
            text.push_str(&format!("{line}\n"));
        }
        for (name, body) in &self.functions {
            let body = body.lines().map(|line| format!("  {line}\n")).collect::<String>();
            text.push_str(&format!("\n{name}() {{\n{body}}}\n"));
        }
        text
    }

    /// The text of a `.SRCINFO` that agrees with the PKGBUILD (but knows nothing of `line`s).
    pub fn srcinfo(&self) -> String {
        let mut text = format!("pkgbase = {}\n", self.base);
        let mut field = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\t{name} = {value}");
        };
        field("pkgdesc", &format!("The {} of a test", self.base));
        field("pkgver", &self.version);
        field("pkgrel", &self.release);
        if let Some(epoch) = self.epoch {
            field("epoch", &epoch.to_string());
        }
        for (name, values) in &self.arrays {
            values.iter().for_each(|value| field(name, value));
        }
        for name in &self.names {
            text.push_str(&format!("\npkgname = {name}\n"));
        }
        text
    }

    /// The files of its Git repository, without a `.SRCINFO`.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![("PKGBUILD".to_string(), self.pkgbuild())];
        files.extend(self.files.iter().cloned());
        files
    }

    /// The files of its Git repository.
    pub fn files_with_srcinfo(&self) -> Vec<(String, String)> {
        let mut files = self.files();
        files.push((".SRCINFO".to_string(), self.srcinfo()));
        files
    }

    /// The files in a folder, for a Git repository with several packages.
    pub fn files_in(&self, folder: &str) -> Vec<(String, String)> {
        let files = self.files().into_iter();
        files.map(|(path, contents)| (format!("{folder}/{path}"), contents)).collect()
    }
}

/// Arguments of a bash array; a `$` in them is expanded, as in most PKGBUILDs.
fn quoted(values: &[String]) -> String {
    values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(" ")
}

/// The smallest package there is: a script, built in no time.
pub fn tiny(name: &str, version: &str, release: u32) -> Package {
    Package::new(name).version(version).release(release)
}

/// A [`tiny`] one with an epoch.
pub fn with_epoch(name: &str, epoch: u32) -> Package {
    Package::new(name).epoch(epoch)
}

/// One for any architecture.
pub fn any_arch(name: &str) -> Package {
    Package::new(name).arch("any")
}

/// Several packages from one PKGBUILD.
pub fn split(base: &str, names: &[&str]) -> Package {
    let mut package = Package::new(base);
    package.names = names.iter().map(|name| name.to_string()).collect();
    package.functions = names.iter().map(|name| (format!("package_{name}"), script(name))).collect();
    package
}

/// One that cannot be built, nor installed, without another one, which it runs in `build()`.
pub fn depends_on(name: &str, dependency: &str) -> Package {
    Package::new(name).depends(&[dependency]).build_body(dependency)
}

/// One whose version is made by `pkgver()` from a Git source: `r<commits>.<hash>`.
pub fn git_version(name: &str, git_url: &str) -> Package {
    Package::new(name)
        .version("r0.0000000")
        .make_depends(&["git"])
        .source(&format!("upstream::git+{git_url}"))
        .pkgver_body(
            "cd upstream\n\
             printf 'r%s.%s' \"$(git rev-list --count HEAD)\" \"$(git rev-parse --short=7 HEAD)\"",
        )
}

/// One whose `build()` says `the build is broken on purpose` and fails.
pub fn failing_build(name: &str) -> Package {
    Package::new(name).build_body("echo 'the build is broken on purpose' >&2\nreturn 3")
}

/// One whose PKGBUILD no shell can read.
pub fn unparseable(name: &str) -> Package {
    let pkgbuild = format!("pkgname={name}\npkgver=1.0\npkgrel=1\narch=(x86_64\npackage( {{\n");
    Package { pkgbuild: Some(pkgbuild), ..Package::new(name) }
}

/// A [`tiny`] one with other `options`.
pub fn with_options(name: &str, options: &[&str]) -> Package {
    Package::new(name).options(options)
}

/// A real program in C, which has something for a `-debug` package to hold.
pub fn c_program(name: &str) -> Package {
    let source = format!(
        "#include <stdio.h>\n\nint main(void) {{\n    puts(\"Hello from {name}\");\n    return 0;\n}}\n"
    );
    Package::new(name)
        .depends(&["glibc"])
        .source_file("hello.c", &source)
        .build_body("gcc $CPPFLAGS $CFLAGS $LDFLAGS -o hello hello.c")
        .package_body(&format!("install -Dm755 hello \"$pkgdir/usr/bin/{name}\""))
}
