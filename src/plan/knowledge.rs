//! What the files of an entry say, and whether that is certain.

use super::graph::{Makes, Node};
use crate::catalog::pkgbuild::{self, Facts, Hints, Reading};
use crate::server::PackageId;

/// What is known of an entry before anything is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knowledge {
    /// makepkg would say exactly this.
    Certain {
        /// What it makes.
        facts: Facts,
        /// Whether that is certain of the dependencies too; those of a `.SRCINFO` may be another architecture's. Names,
        /// version and architectures, which decide whether it is built, always are.
        with_dependencies: bool,
    },
    /// Something is in doubt: good enough for the order, not for a decision.
    Doubtful {
        /// What is in doubt.
        why: String,
        /// The package base, where it can be made out.
        pkgbase: Option<String>,
        /// Whether package base and names are certain all the same.
        names_are_certain: bool,
        /// Packages and dependencies, as far as they can be made out.
        node: Node,
    },
}

impl Knowledge {
    /// Judges a PKGBUILD and the `.SRCINFO` beside it.
    pub fn of(pkgbuild: &[u8], srcinfo: Option<&[u8]>, arch: &str) -> Self {
        let reading = pkgbuild::read(pkgbuild, arch);
        let srcinfo = srcinfo.map(|text| pkgbuild::read_srcinfo(text, arch));
        match (&reading, srcinfo) {
            (Reading::Certain(certain), _) if certain.has_pkgver_function => {
                Self::doubtful(&reading, None, "it has a pkgver() function")
            }
            (Reading::Certain(certain), None) => Self::certain(certain.facts.clone()),
            (_, Some(Ok(facts))) => match pkgbuild::agrees(&facts, &reading) {
                Ok(()) => Self::Certain { facts, with_dependencies: matches!(reading, Reading::Certain(_)) },
                Err(disagreement) => Self::doubtful(&reading, Some(&facts), disagreement.to_string()),
            },
            (_, Some(Err(error))) => Self::doubtful(&reading, None, error.to_string()),
            (Reading::Declined(declined), None) => {
                Self::doubtful(&reading, None, format!("PKGBUILD, {}", declined.reason))
            }
        }
        .checked(arch)
    }

    fn certain(facts: Facts) -> Self {
        Self::Certain { facts, with_dependencies: true }
    }

    /// Certain only where every package is for the architecture: what makepkg makes of a package that is
    /// not, when others of its base are, is its own affair.
    fn checked(self, arch: &str) -> Self {
        let for_arch = |list: &[String]| list.iter().any(|a| a == arch || a == "any");
        match self {
            Self::Certain { facts, .. }
                if for_arch(&facts.arch) && !facts.packages.iter().all(|p| for_arch(&p.arch)) =>
            {
                Self::Doubtful {
                    why: format!("some of its packages are not for {arch}"),
                    pkgbase: Some(facts.pkgbase.clone()),
                    names_are_certain: true,
                    node: node(&facts, false),
                }
            }
            other => other,
        }
    }

    /// What is known when something is in doubt. A `.SRCINFO` that cannot be relied on is good enough for the order.
    fn doubtful(reading: &Reading, srcinfo: Option<&Facts>, why: impl Into<String>) -> Self {
        let why = why.into();
        match reading {
            Reading::Certain(certain) => Self::Doubtful {
                why,
                pkgbase: Some(certain.facts.pkgbase.clone()),
                names_are_certain: true,
                node: node(&certain.facts, !certain.has_pkgver_function),
            },
            Reading::Declined(declined) => {
                let identity = declined.identity.as_ref().map(|identity| identity.pkgbase.clone());
                let mut known = hinted(&declined.hints);
                if let Some(facts) = srcinfo {
                    let stated = node(facts, false);
                    known.makes.extend(stated.makes);
                    known.requires.extend(stated.requires);
                }
                Self::Doubtful {
                    why,
                    names_are_certain: identity.is_some(),
                    pkgbase: identity.or_else(|| declined.hints.pkgbase.clone()),
                    node: known,
                }
            }
        }
    }

    /// The package base, where it is known or can be guessed.
    pub fn pkgbase(&self) -> Option<&str> {
        match self {
            Self::Certain { facts, .. } => Some(&facts.pkgbase),
            Self::Doubtful { pkgbase, .. } => pkgbase.as_deref(),
        }
    }

    /// The package base, where it is known: what the user selects by name rests on it.
    pub fn certain_pkgbase(&self) -> Option<&str> {
        match self {
            Self::Doubtful { names_are_certain: false, .. } => None,
            _ => self.pkgbase(),
        }
    }

    /// The entry as far as order is concerned.
    pub fn node(&self) -> Node {
        match self {
            Self::Certain { facts, .. } => node(facts, true),
            Self::Doubtful { node, .. } => node.clone(),
        }
    }
}

/// What a PKGBUILD says when makepkg has just brought its version up to date, where that is certain: a `pkgver()`
/// function has had its say then.
pub fn of_current(pkgbuild: &[u8], arch: &str) -> Option<Facts> {
    let Reading::Certain(certain) = pkgbuild::read(pkgbuild, arch) else { return None };
    match Knowledge::certain(certain.facts).checked(arch) {
        Knowledge::Certain { facts, .. } => Some(facts),
        Knowledge::Doubtful { .. } => None,
    }
}

/// What a PKGBUILD makes and needs, as far as it could be made out.
fn hinted(hints: &Hints) -> Node {
    let makes = hints.names.iter().map(|name| Makes {
        name: name.clone(),
        version: None,
        provides: hints.provides.clone(),
        depends: hints.depends.clone(),
    });
    let requires = [&hints.depends, &hints.makedepends, &hints.checkdepends];
    Node {
        makes: makes.collect(),
        requires: requires.into_iter().flatten().cloned().collect(),
        ..Node::default()
    }
}

fn node(facts: &Facts, version_is_certain: bool) -> Node {
    let version = version_is_certain.then(|| facts.full_version());
    let makes = facts.packages.iter().map(|package| Makes {
        name: package.name.clone(),
        version: version.clone(),
        provides: package.provides.clone(),
        depends: package.depends.clone(),
    });
    let requires = [&facts.depends, &facts.makedepends, &facts.checkdepends];
    Node {
        makes: makes.collect(),
        requires: requires.into_iter().flatten().cloned().collect(),
        ..Node::default()
    }
}

/// The packages that the facts promise on an architecture.
pub fn packages(facts: &Facts, arch: &str) -> Vec<PackageId> {
    let version = facts.full_version();
    let any = |list: &[String]| list.iter().any(|a| a == "any");
    let id = |package: &pkgbuild::StaticPackage| PackageId {
        name: package.name.clone(),
        version: version.clone(),
        arch: if any(&package.arch) { "any".to_owned() } else { arch.to_owned() },
    };
    facts.packages.iter().map(id).collect()
}
