//! makepkg: its configuration, its answers and its exit codes.

use crate::catalog::is_package_name;
use crate::config::Build as Settings;
use crate::image::{BUILD_HOME, PACKAGES, SOURCES};
use crate::outcome::{Failure, FailureKind};
use crate::server::PackageId;

/// The build user's makepkg.conf(5), which comes after the system's.
pub(super) fn config(settings: &Settings) -> String {
    let jobs = settings.cpus.map_or("$(nproc)".to_owned(), |cpus| cpus.jobs().to_string());
    let debug = if settings.debug_packages.0 { "debug" } else { "!debug" };
    let mut text = format!(
        "MAKEFLAGS=\"-j{jobs}\"\n\
         PKGDEST={BUILD_HOME}/{PACKAGES}\n\
         SRCDEST={BUILD_HOME}/{SOURCES}\n\
         OPTIONS+=({debug})\n"
    );
    if let Some(packager) = &settings.packager {
        text.push_str(&format!("PACKAGER={}\n", quoted(packager)));
    }
    text
}

/// A word that bash reads as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Reads a file name as `makepkg --packagelist` prints it: `<name>-<full version>-<arch>.pkg.tar...`.
pub fn parse_package_file(file: &str) -> Option<PackageId> {
    let stem = &file[..file.rfind(".pkg.tar")?];
    let mut parts = stem.rsplitn(4, '-');
    let (arch, pkgrel, pkgver, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let usable = is_package_name(name)
        && !arch.is_empty()
        && [arch, pkgrel, pkgver]
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && c != '/'));
    usable.then(|| PackageId {
        name: name.to_owned(),
        version: format!("{pkgver}-{pkgrel}"),
        arch: arch.to_owned(),
    })
}

/// What an exit code of makepkg means (makepkg(8), "Errors", and what makepkg 6 and 7 do).
pub(super) fn failure(what: &str, code: i64, default: FailureKind, last_words: &str) -> Failure {
    let (kind, why, hint) = match code {
        1 => (default, "a source cannot be had or does not match", "look at the log of this entry"),
        2 | 3 | 15 | 16 => (default, "makepkg's own set-up is wrong", "check the base image"),
        4 => (default, "a function of the PKGBUILD failed", "look at the log of this entry"),
        5 => (FailureKind::Build, "the package could not be put together", "look at the log of this entry"),
        6 => (
            FailureKind::Pkgbuild,
            "the PKGBUILD cannot be read or a file is missing",
            "correct the PKGBUILD",
        ),
        7 => (FailureKind::Build, "a package directory is missing", "correct the package() functions"),
        8 => (
            FailureKind::Dependency,
            "dependencies are missing",
            "add them to the list, or correct the PKGBUILD",
        ),
        11 => (default, "a directory cannot be written", "check the base image"),
        12 => (FailureKind::Pkgbuild, "the PKGBUILD is not valid", "correct the PKGBUILD"),
        137 => (default, "it was killed", "look for a lack of memory on the Docker machine"),
        _ => (default, "makepkg failed", "look at the log of this entry"),
    };
    let words = if last_words.is_empty() { String::new() } else { format!(": {last_words}") };
    Failure::new(kind, format!("{what} failed with exit code {code}, {why}{words}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(file: &str) -> Option<(String, String, String)> {
        parse_package_file(file).map(|p| (p.name, p.version, p.arch))
    }

    #[test]
    fn file_names_are_read_from_their_end() {
        let expected = |n: &str, v: &str, a: &str| Some((n.to_owned(), v.to_owned(), a.to_owned()));
        assert_eq!(id("tiny-1.0-1-any.pkg.tar.zst"), expected("tiny", "1.0-1", "any"));
        assert_eq!(
            id("a-b-c-2:1.0+r1~x_y-1.5-x86_64.pkg.tar"),
            expected("a-b-c", "2:1.0+r1~x_y-1.5", "x86_64")
        );
        assert_eq!(id("x-1.pkg.tar-1-any.pkg.tar.xz"), expected("x", "1.pkg.tar-1", "any"));
        for bad in ["", "tiny", "tiny-1.0-1-any.tar.zst", "-1.0-1-any.pkg.tar", "a/b-1-1-any.pkg.tar.gz"] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[test]
    fn quotes_in_the_packager_do_not_end_the_word() {
        assert_eq!(quoted("Jan d'Arc <a@b>"), "'Jan d'\\''Arc <a@b>'");
    }
}
