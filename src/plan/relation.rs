//! Which package satisfies which dependency, by pacman's rules (PKGBUILD(5), vercmp(8)).

use std::str::FromStr;

use alpm_types::{Version, VersionRequirement};

/// A dependency: `name`, or `name` with a constraint such as `>=1.2`.
#[derive(Debug, Clone)]
pub struct Relation<'a> {
    /// The name that is wanted.
    pub name: &'a str,
    /// What its version must be: as text, and parsed where it is a version.
    constraint: Option<(&'a str, Option<VersionRequirement>)>,
}

impl<'a> Relation<'a> {
    /// Reads a dependency.
    pub fn parse(text: &'a str) -> Self {
        // `optdepends` style descriptions never stand here, but a colon may be part of a version.
        let end = text.find(['<', '>', '=']).unwrap_or(text.len());
        let (name, constraint) = text.split_at(end);
        let constraint =
            (!constraint.is_empty()).then(|| (constraint, VersionRequirement::from_str(constraint).ok()));
        Self { name, constraint }
    }

    /// Whether a package (or something provided) of this name satisfies it. `None` as the version: it
    /// has one, but which is not known before it is built.
    pub fn is_satisfied_by(&self, name: &str, version: Option<&str>) -> bool {
        if name != self.name {
            return false;
        }
        match (&self.constraint, version) {
            (None, _) | (Some(_), None) => true,
            (Some((_, Some(requirement))), Some(version)) => match Version::from_str(version) {
                Ok(version) => requirement.is_satisfied_by(&version),
                Err(_) => false,
            },
            // What pacman compares letter by letter, such as a soname's `=1-64`.
            (Some((text, None)), Some(version)) => text.strip_prefix('=') == Some(version),
        }
    }

    /// Whether something that is provided, `name` or `name=version`, satisfies it. Without a version it
    /// satisfies no constraint.
    pub fn is_satisfied_by_provision(&self, provision: &str) -> bool {
        match provision.split_once('=') {
            Some((name, version)) => self.is_satisfied_by(name, Some(version)),
            None => provision == self.name && self.constraint.is_none(),
        }
    }
}

/// Whether one full version is newer than another. What is no version is not newer than anything.
pub fn is_newer(version: &str, than: &str) -> bool {
    match (Version::from_str(version), Version::from_str(than)) {
        (Ok(version), Ok(than)) => version > than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Relation, is_newer};

    #[test]
    fn newer_is_what_pacman_calls_newer() {
        for (one, other) in
            [("1:1.0-1", "2.0-9"), ("1.10-1", "1.9-1"), ("1.0-2", "1.0-1"), ("1.0-1", "1.0rc1-1")]
        {
            assert!(is_newer(one, other) && !is_newer(other, one), "{one} {other}");
        }
        assert!(!is_newer("1.0-1", "1.0-1") && !is_newer("rubbish/", "1.0-1"));
    }

    fn satisfied(wanted: &str, name: &str, version: &str) -> bool {
        Relation::parse(wanted).is_satisfied_by(name, Some(version))
    }

    #[test]
    fn constraints_follow_pacman() {
        assert!(satisfied("foo", "foo", "1.0-1"));
        assert!(!satisfied("foo", "bar", "1.0-1"));
        assert!(satisfied("foo>=1.0", "foo", "1.0-3"), "no pkgrel in the constraint: it is not compared");
        assert!(satisfied("foo=1.0", "foo", "1.0-3"));
        assert!(!satisfied("foo=1.0-2", "foo", "1.0-3"));
        assert!(satisfied("foo<1.10", "foo", "1.9-1"), "numbers, not letters");
        assert!(satisfied("foo>9", "foo", "1:1-1"), "the epoch comes first");
        assert!(!satisfied("foo>=2", "foo", "2rc1-1"));
        assert!(Relation::parse("foo>=99").is_satisfied_by("foo", None), "not built yet: may be");
    }

    #[test]
    fn provisions_without_a_version_satisfy_no_constraint() {
        assert!(Relation::parse("sh").is_satisfied_by_provision("sh"));
        assert!(!Relation::parse("sh>=1").is_satisfied_by_provision("sh"));
        assert!(Relation::parse("sh>=1").is_satisfied_by_provision("sh=2"));
        assert!(Relation::parse("libx.so=1-64").is_satisfied_by_provision("libx.so=1-64"));
        assert!(!Relation::parse("libx.so=2-64").is_satisfied_by_provision("libx.so=1-64"));
    }
}
