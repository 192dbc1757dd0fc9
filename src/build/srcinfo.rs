//! What `makepkg --printsrcinfo` says of the PKGBUILD that is about to be built.
//!
//! The plan reads `.SRCINFO` files strictly, because it must be certain. Here makepkg itself has spoken, and
//! it takes versions (with `=` in them, for one) that strict readers refuse: it has the last word.

use crate::catalog::is_package_name;

/// What matters of it for a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SourceInfo {
    /// The package base.
    pub pkgbase: String,
    /// The full version.
    pub version: String,
    /// The architectures of the package base.
    pub arch: Vec<String>,
    /// The names of its packages.
    pub packages: Vec<String>,
    /// What the build needs: `depends`, `makedepends` and `checkdepends` of the package base, also those of
    /// the architecture alone.
    pub dependencies: Vec<String>,
}

/// Reads the text for an architecture.
///
/// # Errors
/// When something that every PKGBUILD has is missing; the message completes "makepkg's description".
pub(super) fn parse(text: &str, arch: &str) -> Result<SourceInfo, String> {
    let mut info = SourceInfo::default();
    let (mut epoch, mut pkgver, mut pkgrel) = ("", "", "");
    for line in text.lines() {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        match key.trim() {
            "pkgname" => info.packages.push(value.to_owned()),
            // What comes after the first package name belongs to that package alone.
            _ if !info.packages.is_empty() => {}
            "pkgbase" => info.pkgbase = value.to_owned(),
            "epoch" => epoch = value,
            "pkgver" => pkgver = value,
            "pkgrel" => pkgrel = value,
            "arch" => info.arch.push(value.to_owned()),
            key => {
                let kind = key.strip_suffix(arch).and_then(|k| k.strip_suffix('_')).unwrap_or(key);
                if matches!(kind, "depends" | "makedepends" | "checkdepends") {
                    info.dependencies.push(value.to_owned());
                }
            }
        }
    }
    for (name, value) in [("pkgver", pkgver), ("pkgrel", pkgrel)] {
        if value.is_empty() {
            return Err(format!("has no {name}"));
        }
    }
    match std::iter::once(&info.pkgbase).chain(&info.packages).find(|name| !is_package_name(name)) {
        Some(name) => return Err(format!("has the name {name:?}, which is no package's")),
        None if info.packages.is_empty() => return Err("has no pkgname".into()),
        None => {}
    }
    let epoch = if epoch.is_empty() || epoch == "0" { String::new() } else { format!("{epoch}:") };
    info.version = format!("{epoch}{pkgver}-{pkgrel}");
    info.dependencies.sort();
    info.dependencies.dedup();
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: &str = "pkgbase = foo\n\tpkgdesc = a = b\n\tpkgver = 1.0+r2~x=y\n\tpkgrel = 2\n\tepoch = 3\n\
        \tarch = x86_64\n\tarch = aarch64\n\tmakedepends = gcc\n\tdepends = glibc>=2\n\
        \tdepends_aarch64 = other\n\tmakedepends_x86_64 = nasm\n\npkgname = foo\n\tdepends = lib\n\npkgname = lib\n";

    #[test]
    fn the_base_counts_and_its_packages_do_not() {
        let info = parse(SPLIT, "x86_64").expect("a description");
        assert_eq!(info.version, "3:1.0+r2~x=y-2");
        assert_eq!(info.packages, ["foo", "lib"]);
        assert_eq!(info.dependencies, ["gcc", "glibc>=2", "nasm"]);
        assert_eq!(info.arch, ["x86_64", "aarch64"]);
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for (text, why) in [
            ("", "pkgver"),
            ("pkgbase = x\n\tpkgver = 1\n\tpkgrel = 1\n", "pkgname"),
            ("pkgbase = x\n\tpkgver = 1\n\tpkgrel = 1\npkgname = ../x\n", "../x"),
        ] {
            let error = parse(text, "x86_64").expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
