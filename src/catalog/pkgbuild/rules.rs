//! Which names and values are sound: what makepkg checks before it does anything (`makepkg(8)`),
//! and what bash and makepkg use for themselves.

/// Variables of a `PKGBUILD` that are arrays (`PKGBUILD(5)`).
const ARRAYS: [&str; 23] = [
    "arch",
    "backup",
    "checkdepends",
    "conflicts",
    "depends",
    "groups",
    "license",
    "makedepends",
    "noextract",
    "optdepends",
    "options",
    "provides",
    "replaces",
    "source",
    "validpgpkeys",
    "cksums",
    "md5sums",
    "sha1sums",
    "sha224sums",
    "sha256sums",
    "sha384sums",
    "sha512sums",
    "b2sums",
];
/// Variables of a `PKGBUILD` that are strings.
const STRINGS: [&str; 8] = ["changelog", "epoch", "install", "pkgbase", "pkgdesc", "pkgrel", "pkgver", "url"];
/// The arrays that may have an architecture at the end of their names.
const BY_ARCHITECTURE: [&str; 16] = [
    "checkdepends",
    "conflicts",
    "depends",
    "makedepends",
    "optdepends",
    "provides",
    "replaces",
    "source",
    "cksums",
    "md5sums",
    "sha1sums",
    "sha224sums",
    "sha256sums",
    "sha384sums",
    "sha512sums",
    "b2sums",
];

/// Names that bash or makepkg give a meaning to, among the lower-case ones.
const TAKEN: [&str; 17] = [
    "shellopts",
    "startdir",
    "srcdir",
    "pkgdir",
    "pkgdirbase",
    "confdir",
    "basever",
    "makepkg_version",
    "known_hash_algos",
    "using_ccache",
    "extra_environment",
    "splitpkg_overrides",
    "histchars",
    "auto_resume",
    "tidy_remove",
    "tidy_modify",
    "pkgver_func",
];
/// Starts and ends of such names.
const TAKEN_STARTS: [&str; 8] =
    ["lint_", "tidy_", "pkgbuild_", "makepkg_", "buildenv_", "executable_", "splitpkg_", "pacman_"];
const TAKEN_ENDS: [&str; 3] = ["_functions", "_options", "_schema"];

/// Functions that makepkg calls, and that a `PKGBUILD` is meant to define.
const FUNCTIONS: [&str; 6] = ["prepare", "build", "check", "package", "pkgver", "verify"];

/// Build options that every makepkg of today knows.
const OPTIONS: [&str; 14] = [
    "strip",
    "docs",
    "libtool",
    "staticlibs",
    "emptydirs",
    "zipman",
    "purge",
    "debug",
    "lto",
    "distcc",
    "buildflags",
    "makeflags",
    "ccache",
    "autodeps",
];

/// Whether a variable of this name changes nothing but what refers to it by name.
pub(super) fn variable_is_harmless(name: &str) -> bool {
    if name.starts_with('_') {
        return name.len() > 1;
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let taken = TAKEN.contains(&name)
        || TAKEN_STARTS.iter().any(|start| name.starts_with(start))
        || TAKEN_ENDS.iter().any(|end| name.ends_with(end));
    // An architecture of a schema variable may be in upper case; nobody has one.
    !taken && name.bytes().all(plain)
}

/// Whether a function of this name takes the place of nothing that bash or makepkg call.
pub(super) fn function_is_harmless(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+.@".contains(c);
    let ours = FUNCTIONS.contains(&name)
        || name.strip_prefix("package_").is_some_and(|rest| !rest.is_empty())
        || (name.starts_with('_') && name.len() > 1);
    ours && name.chars().all(plain)
}

/// Whether makepkg unsets a variable before it reads the `PKGBUILD`, so that nothing from the
/// environment is in it.
pub(super) fn is_unset_by_makepkg(name: &str) -> bool {
    let by_architecture = |start: &&str| name.strip_prefix(*start).is_some_and(|rest| rest.starts_with('_'));
    name == "pkgname"
        || ARRAYS.contains(&name)
        || STRINGS.contains(&name)
        || BY_ARCHITECTURE.iter().any(by_architecture)
}

/// Whether makepkg insists that a variable is an array (`Some(true)`) or a string.
pub(super) fn must_be_array(name: &str, arch: &[String]) -> Option<bool> {
    if STRINGS.contains(&name) {
        return Some(false);
    }
    let by_architecture = |start: &&str| {
        let suffix = name.strip_prefix(start).and_then(|rest| rest.strip_prefix('_'));
        suffix.is_some_and(|suffix| arch.iter().any(|arch| arch == suffix))
    };
    let array = ARRAYS.contains(&name) || BY_ARCHITECTURE.iter().any(by_architecture);
    array.then_some(true)
}

/// Whether a name ends with an architecture although its variable cannot have one.
pub(super) fn is_misplaced_architecture(name: &str, arch: &[String]) -> bool {
    let suffix = |start: &&str| name.strip_prefix(*start).and_then(|rest| rest.strip_prefix('_'));
    let starts = ARRAYS.iter().chain(&STRINGS);
    starts.filter_map(|start| Some((start, suffix(start)?))).any(|(start, suffix)| {
        let allowed = BY_ARCHITECTURE.contains(start) && suffix != "any";
        !allowed && (suffix == "any" || arch.iter().any(|arch| arch == suffix))
    })
}

/// A package name (`PKGBUILD(5)`, `pkgname`).
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+_.@-".contains(&b);
    !name.is_empty() && !name.starts_with(['-', '.']) && name.bytes().all(plain)
}

/// A `pkgver`: stricter than makepkg, which refuses only blanks, `:`, `/` and `-`.
pub(super) fn is_pkgver(version: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+~^@".contains(&b);
    !version.is_empty() && version.bytes().all(plain)
}

/// A `pkgrel`, `integer[.integer]`, without leading zeros.
pub(super) fn is_pkgrel(release: &str) -> bool {
    let (major, minor) = release.split_once('.').unwrap_or((release, "0"));
    is_number(major) && is_number(minor)
}

/// A decimal number without leading zeros that fits into every program's integers.
pub(super) fn is_number(text: &str) -> bool {
    let digits = matches!(text.len(), 1..=9) && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

/// The name of an architecture.
pub(super) fn is_architecture(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[epoch:]pkgver[-pkgrel]`.
fn is_full_version(version: &str) -> bool {
    let rest = match version.split_once(':') {
        Some((epoch, rest)) if is_number(epoch) => rest,
        Some(_) => return false,
        None => version,
    };
    match rest.rsplit_once('-') {
        Some((pkgver, pkgrel)) => is_pkgver(pkgver) && is_pkgrel(pkgrel),
        None => is_pkgver(rest),
    }
}

/// A dependency: a name, or a name, a comparison and a version.
pub(super) fn is_dependency(text: &str) -> bool {
    let Some(at) = text.find(['<', '>', '=']) else {
        return is_name(text);
    };
    let (name, rest) = text.split_at(at);
    let operators = ["<=", ">=", "=", "<", ">"];
    let version = operators.iter().find_map(|operator| rest.strip_prefix(operator));
    is_name(name) && version.is_some_and(is_full_version)
}

/// Something provided: a name, or a name, `=` and a version.
pub(super) fn is_provision(text: &str) -> bool {
    match text.split_once('=') {
        Some((name, version)) => is_name(name) && is_full_version(version),
        None => is_name(text),
    }
}

/// A build option (`PKGBUILD(5)`, `options`; `makepkg.conf(5)`), with or without `!`.
pub(super) fn is_option(text: &str) -> bool {
    OPTIONS.contains(&text.strip_prefix('!').unwrap_or(text))
}
