//! Whether a `.SRCINFO` and the `PKGBUILD` beside it say the same.

use super::{Facts, Identity, Reading};

/// Where a `.SRCINFO` and its `PKGBUILD` differ, or why that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// There is, or may be, a `pkgver()` function: only running it tells the version.
    #[error("the version comes from a pkgver() function")]
    PkgverFunction,
    /// What the `PKGBUILD` says of names, version or architectures is in doubt.
    #[error("PKGBUILD is not plain: {0}")]
    InDoubt(String),
    /// They differ.
    #[error(".SRCINFO and PKGBUILD differ in {what}: {srcinfo} and {pkgbuild}")]
    Differs {
        /// What differs.
        what: &'static str,
        /// What `.SRCINFO` says.
        srcinfo: String,
        /// What `PKGBUILD` says.
        pkgbuild: String,
    },
}

/// Whether a `.SRCINFO` can be relied on beside this `PKGBUILD`.
///
/// A certain reading must agree in everything: names, version, architectures, dependencies and what
/// is provided. Where only the dependencies of the `PKGBUILD` are in doubt, names, version and
/// architectures must be certain and agree; the dependencies are then those of the `.SRCINFO`.
///
/// # Errors
/// [`Disagreement`], if they differ or if anything of that is in doubt.
pub fn agrees(srcinfo: &Facts, pkgbuild: &Reading) -> Result<(), Disagreement> {
    match pkgbuild {
        Reading::Certain(certain) if certain.has_pkgver_function => Err(Disagreement::PkgverFunction),
        Reading::Certain(certain) => {
            same_identity(&srcinfo.identity(), &certain.facts.identity())?;
            same_relations(srcinfo, &certain.facts)
        }
        Reading::Declined(declined) => match (&declined.identity, declined.has_pkgver_function) {
            (_, Some(true)) => Err(Disagreement::PkgverFunction),
            (Some(identity), Some(false)) => same_identity(&srcinfo.identity(), identity),
            _ => Err(Disagreement::InDoubt(declined.reason.to_string())),
        },
    }
}

fn same(what: &'static str, srcinfo: String, pkgbuild: String) -> Result<(), Disagreement> {
    if srcinfo == pkgbuild {
        return Ok(());
    }
    Err(Disagreement::Differs { what, srcinfo, pkgbuild })
}

fn same_identity(srcinfo: &Identity, pkgbuild: &Identity) -> Result<(), Disagreement> {
    same("pkgbase", srcinfo.pkgbase.clone(), pkgbuild.pkgbase.clone())?;
    same("version", srcinfo.version.to_string(), pkgbuild.version.to_string())?;
    same("arch", sorted(&srcinfo.arch), sorted(&pkgbuild.arch))?;
    let packages = |identity: &Identity| {
        let one = |(name, arch): &(String, Vec<String>)| format!("{name} ({})", sorted(arch));
        sorted(&identity.packages.iter().map(one).collect::<Vec<_>>())
    };
    same("packages", packages(srcinfo), packages(pkgbuild))
}

fn same_relations(srcinfo: &Facts, pkgbuild: &Facts) -> Result<(), Disagreement> {
    same("depends", sorted(&srcinfo.depends), sorted(&pkgbuild.depends))?;
    same("makedepends", sorted(&srcinfo.makedepends), sorted(&pkgbuild.makedepends))?;
    same("checkdepends", sorted(&srcinfo.checkdepends), sorted(&pkgbuild.checkdepends))?;
    same("provides", sorted(&srcinfo.provides), sorted(&pkgbuild.provides))?;
    let packages = |facts: &Facts, list: fn(&super::StaticPackage) -> &Vec<String>| {
        let one = |package| format!("{}: {}", package_name(package), sorted(list(package)));
        sorted(&facts.packages.iter().map(one).collect::<Vec<_>>())
    };
    let depends = |facts: &Facts| packages(facts, |package| &package.depends);
    same("depends of a package", depends(srcinfo), depends(pkgbuild))?;
    let provides = |facts: &Facts| packages(facts, |package| &package.provides);
    same("provides of a package", provides(srcinfo), provides(pkgbuild))
}

fn package_name(package: &super::StaticPackage) -> &str {
    &package.name
}

fn sorted(values: &[String]) -> String {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.join(" ")
}
