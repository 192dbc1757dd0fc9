//! Reads a `PKGBUILD` as data, without ever running any of it.
//!
//! `PKGBUILD(5)` is a bash script, and only `makepkg(8)` can say what an arbitrary one means. Most
//! of them, though, are a list of plain assignments and a few functions. [`read`] answers for
//! those, and declines for everything else: a wrong answer would mean that a package is skipped
//! that should have been built, while declining only costs a look inside a container.
//!
//! What an answer rests on, in the order of the submodules:
//! - `guard`: limits on size and nesting, then the shell parser;
//! - `statements`: the top-level statements in order, with the variables they set;
//! - `value`, `expand`, `brace`: the value of one word, exactly as bash computes it;
//! - `overrides`: what the `package()` functions override, by makepkg's own rules;
//! - `overlooked`: a check that the parser missed no assignment;
//! - `assemble`, `rules`: the facts, and the values that makepkg itself would refuse.
//!
//! [`srcinfo`] gives the same facts from a `.SRCINFO`, and [`agree`] compares the two.

mod assemble;
mod brace;
mod expand;
mod guard;
mod nesting;
mod overlooked;
mod overrides;
mod rules;
mod source;
mod statements;
mod taint;
mod value;

pub mod agree;
pub mod srcinfo;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

pub use agree::{Disagreement, agrees};
pub use srcinfo::{SrcinfoError, read_srcinfo};

use std::fmt;

/// Stack of the thread that parses. The shell parser recurses; `guard` bounds how deep, and this
/// is several times what that bound needs in a build without optimisation.
const STACK: usize = 64 * 1024 * 1024;

/// The version of a package base: `[epoch:]pkgver-pkgrel` (`PKGBUILD(5)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The epoch, when it is set and not 0.
    pub epoch: Option<u64>,
    /// Upstream's version.
    pub pkgver: String,
    /// The release number, `integer[.integer]`.
    pub pkgrel: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(epoch) = self.epoch {
            write!(f, "{epoch}:")?;
        }
        write!(f, "{}-{}", self.pkgver, self.pkgrel)
    }
}

/// One package of a package base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticPackage {
    /// Its name.
    pub name: String,
    /// Its architectures: those of its package function, else those of the package base.
    pub arch: Vec<String>,
    /// What it needs to run, with the architecture's own; overridden or inherited.
    pub depends: Vec<String>,
    /// What it provides, with the architecture's own; overridden or inherited.
    pub provides: Vec<String>,
}

/// What identifies the packages that one `PKGBUILD` makes: names, version, architectures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name of the package base.
    pub pkgbase: String,
    /// The version, the same for every package of it.
    pub version: Version,
    /// The architectures of the package base.
    pub arch: Vec<String>,
    /// Name and architectures of every package, in order.
    pub packages: Vec<(String, Vec<String>)>,
}

/// What a `PKGBUILD` or a `.SRCINFO` says of the packages it makes, for one architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The name of the package base.
    pub pkgbase: String,
    /// The version, the same for every package of it.
    pub version: Version,
    /// The architectures of the package base.
    pub arch: Vec<String>,
    /// Every package, in the order of `pkgname`.
    pub packages: Vec<StaticPackage>,
    /// Run-time dependencies of the package base, with the architecture's own.
    pub depends: Vec<String>,
    /// Build dependencies, with the architecture's own.
    pub makedepends: Vec<String>,
    /// Test dependencies, with the architecture's own.
    pub checkdepends: Vec<String>,
    /// What the package base provides, with the architecture's own.
    pub provides: Vec<String>,
    /// Build options of the package base, such as `debug` and `!strip`.
    pub options: Vec<String>,
}

impl Facts {
    /// The full version, `[epoch:]pkgver-pkgrel`.
    #[must_use]
    pub fn full_version(&self) -> String {
        self.version.to_string()
    }

    /// Names, version and architectures alone.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let packages = self.packages.iter();
        Identity {
            pkgbase: self.pkgbase.clone(),
            version: self.version.clone(),
            arch: self.arch.clone(),
            packages: packages.map(|p| (p.name.clone(), p.arch.clone())).collect(),
        }
    }
}

/// What a `PKGBUILD` says of itself, when that follows from plain top-level assignments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticPkgbuild {
    /// Names, version, architectures, dependencies.
    pub facts: Facts,
    /// Whether there is a `pkgver()` function. If so, the version of the facts is only the one
    /// that the `PKGBUILD` was committed with: makepkg may change it.
    pub has_pkgver_function: bool,
}

impl StaticPkgbuild {
    /// The full version, `[epoch:]pkgver-pkgrel`.
    #[must_use]
    pub fn full_version(&self) -> String {
        self.facts.full_version()
    }
}

/// Why a `PKGBUILD` was not decided: a short sentence, with the line where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The sentence.
    pub message: String,
    /// The line of the `PKGBUILD`, counted from 1.
    pub line: Option<usize>,
}

impl Reason {
    pub(crate) fn new(message: impl Into<String>, line: Option<usize>) -> Self {
        let message = message.into();
        Self { message, line }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// What could be made out of a `PKGBUILD` that was declined. Good for putting entries in order,
/// never for deciding that one need not be built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The package base, if it could be made out.
    pub pkgbase: Option<String>,
    /// The names of its packages that could be made out.
    pub names: Vec<String>,
    /// Run-time dependencies that could be made out.
    pub depends: Vec<String>,
    /// Build dependencies that could be made out.
    pub makedepends: Vec<String>,
    /// Test dependencies that could be made out.
    pub checkdepends: Vec<String>,
    /// What the packages provide, as far as it could be made out.
    pub provides: Vec<String>,
}

/// A `PKGBUILD` that was not decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// Why.
    pub reason: Reason,
    /// What could be made out all the same.
    pub hints: Hints,
    /// Whether there is a `pkgver()` function; `None` if that is in doubt too.
    pub has_pkgver_function: Option<bool>,
    /// Names, version and architectures, if those are certain and only the dependencies are in
    /// doubt. With a `pkgver()` function the version is the one it was committed with.
    pub identity: Option<Identity>,
}

/// The answer of [`read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Everything follows from plain assignments; `makepkg --printsrcinfo` would say the same.
    Certain(StaticPkgbuild),
    /// Something is in doubt: look inside a container.
    Declined(Declined),
}

/// Reads the text of a `PKGBUILD` for one architecture (`x86_64`).
///
/// Runs nothing, reads no file, and comes back on any input: sizes and nesting are bounded before
/// the parser sees them. Source of the rules: `PKGBUILD(5)`, `makepkg(8)`, `bash(1)`.
#[must_use]
pub fn read(text: &[u8], architecture: &str) -> Reading {
    let outcome = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("pkgbuild".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || read_here(text, architecture))
            .map(std::thread::ScopedJoinHandle::join)
    });
    match outcome {
        Ok(Ok(reading)) => reading,
        Ok(Err(_)) => declined_outright("the shell parser gave up", None),
        Err(error) => declined_outright(format!("no thread to parse with: {error}"), None),
    }
}

/// [`read`], on the calling thread's stack.
fn read_here(text: &[u8], architecture: &str) -> Reading {
    let text = match guard::check_text(text) {
        Ok(text) => text,
        Err(reason) => return declined_outright(reason.message, reason.line),
    };
    match guard::parse(text) {
        Ok(program) => {
            let source = source::Source::new(text);
            let scan = statements::scan(&program, &source);
            assemble::assemble(&scan, &source, architecture)
        }
        Err(reason) => declined_outright(reason.message, reason.line),
    }
}

/// Declined before anything could be made out.
fn declined_outright(message: impl Into<String>, line: Option<usize>) -> Reading {
    Reading::Declined(Declined {
        reason: Reason::new(message, line),
        hints: Hints::default(),
        has_pkgver_function: None,
        identity: None,
    })
}
