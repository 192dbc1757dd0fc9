//! What `makepkg --printsrcinfo` says of the PKGBUILD that is about to be built.
//!
//! The plan reads `.SRCINFO` files strictly, because it must be certain. Here makepkg itself has spoken, and
//! it takes versions (with `=` in them, for one) that strict readers refuse: it has the last word.

use crate::catalog::is_package_name;
use crate::catalog::pkgbuild::Facts;
use crate::plan::knowledge::packages;
use crate::server::PackageId;

/// What matters of it for a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SourceInfo {
    /// The package base.
    pub pkgbase: String,
    /// The full version.
    pub version: String,
    /// The architectures of the package base.
    pub arch: Vec<String>,
    /// Its packages.
    pub packages: Vec<PackageId>,
    /// What the build needs: `depends`, `makedepends` and `checkdepends` of the package base, also those of
    /// the architecture alone.
    pub dependencies: Vec<String>,
}

impl SourceInfo {
    /// The same from files that were read as data: certain facts are what makepkg would say.
    pub fn from_facts(facts: &Facts, arch: &str) -> Self {
        let mut dependencies = [&facts.depends[..], &facts.makedepends, &facts.checkdepends].concat();
        dependencies.sort();
        dependencies.dedup();
        Self {
            pkgbase: facts.pkgbase.clone(),
            version: facts.full_version(),
            arch: facts.arch.clone(),
            packages: packages(facts, arch),
            dependencies,
        }
    }
}

/// Reads the text for an architecture.
///
/// # Errors
/// When something that every PKGBUILD has is missing; the message completes "makepkg's description".
pub(super) fn parse(text: &str, arch: &str) -> Result<SourceInfo, String> {
    let mut info = SourceInfo::default();
    // Names, with the architectures that a package has of its own.
    let mut packages: Vec<(&str, Vec<&str>)> = Vec::new();
    let (mut epoch, mut pkgver, mut pkgrel) = ("", "", "");
    for line in text.lines() {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        match (key.trim(), packages.last_mut()) {
            ("pkgname", _) => packages.push((value, Vec::new())),
            ("arch", Some((_, own))) => own.push(value),
            // What else comes after the first package name belongs to that package alone.
            (_, Some(_)) => {}
            ("pkgbase", None) => info.pkgbase = value.to_owned(),
            ("epoch", None) => epoch = value,
            ("pkgver", None) => pkgver = value,
            ("pkgrel", None) => pkgrel = value,
            ("arch", None) => info.arch.push(value.to_owned()),
            (key, None) => {
                let kind = key.strip_suffix(arch).and_then(|k| k.strip_suffix('_')).unwrap_or(key);
                if matches!(kind, "depends" | "makedepends" | "checkdepends") {
                    info.dependencies.push(value.to_owned());
                }
            }
        }
    }
    for (name, value) in [("pkgver", pkgver), ("pkgrel", pkgrel)] {
        let usable = value.chars().all(|c| c.is_ascii_graphic() && c != '/');
        if value.is_empty() || !usable {
            return Err(format!("has no usable {name} ({value:?})"));
        }
    }
    let names = std::iter::once(info.pkgbase.as_str()).chain(packages.iter().map(|(name, _)| *name));
    if let Some(name) = names.into_iter().find(|name| !is_package_name(name)) {
        return Err(format!("has the name {name:?}, which is no package's"));
    }
    if packages.is_empty() {
        return Err("has no pkgname".into());
    }
    let epoch = if epoch.is_empty() || epoch == "0" { String::new() } else { format!("{epoch}:") };
    info.version = format!("{epoch}{pkgver}-{pkgrel}");
    let id = |(name, own): (&str, Vec<&str>)| {
        // As makepkg names the file: `any`, or the architecture that it runs on.
        let any = if own.is_empty() { info.arch.iter().any(|a| a == "any") } else { own.contains(&"any") };
        PackageId {
            name: name.to_owned(),
            version: info.version.clone(),
            arch: if any { "any" } else { arch }.to_owned(),
        }
    };
    info.packages = packages.into_iter().map(id).collect();
    info.dependencies.sort();
    info.dependencies.dedup();
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: &str = "pkgbase = foo\n\tpkgdesc = a = b\n\tpkgver = 1.0+r2~x=y\n\tpkgrel = 2\n\tepoch = 3\n\
        \tarch = x86_64\n\tarch = aarch64\n\tmakedepends = gcc\n\tdepends = glibc>=2\n\
        \tdepends_aarch64 = other\n\tmakedepends_x86_64 = nasm\n\npkgname = foo\n\tdepends = lib\n\npkgname = lib\n\tarch = any\n";

    #[test]
    fn the_base_counts_and_its_packages_do_not() {
        let info = parse(SPLIT, "x86_64").expect("a description");
        assert_eq!(info.version, "3:1.0+r2~x=y-2");
        let names: Vec<String> = info.packages.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["foo-3:1.0+r2~x=y-2-x86_64", "lib-3:1.0+r2~x=y-2-any"]);
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
