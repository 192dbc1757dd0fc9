//! From the variables and functions of a `PKGBUILD` to its facts.

use std::collections::{BTreeMap, BTreeSet};

use super::overlooked;
use super::overrides::{self, Overrides};
use super::source::Source;
use super::statements::{Function, Scan};
use super::value::Variable;
use super::{
    Declined, Facts, Hints, Identity, Reading, Reason, StaticPackage, StaticPkgbuild, Version, rules,
};

/// The most architectures a package may have: far more than there are.
const MAX_ARCHITECTURES: usize = 32;

/// A result, or why there is none.
type Sure<T> = Result<T, Reason>;

/// The answer for one architecture.
pub(super) fn assemble(scan: &Scan<'_>, source: &Source<'_>, architecture: &str) -> Reading {
    let has_pkgver_function = scan.functions.iter().any(|function| function.name == "pkgver");
    let sound = match scan.problem.clone().or_else(|| overlooked::find(scan, source)) {
        Some(problem) => Err(problem),
        None => Ok(()),
    };
    let assembly = Assembly { variables: &scan.variables, architecture };
    let answer = assembly.answer(scan, source);
    let (facts, identity) = match answer {
        Ok((facts, doubt, identity)) => (doubt.map_or(Ok(facts), Err), Some(identity)),
        Err(reason) => (Err(reason), None),
    };
    let certain = sound.is_ok();
    match sound.and(facts) {
        Ok(facts) => Reading::Certain(StaticPkgbuild { facts, has_pkgver_function }),
        Err(reason) => Reading::Declined(Declined {
            reason,
            hints: assembly.hints(),
            has_pkgver_function: (certain || has_pkgver_function).then_some(has_pkgver_function),
            identity: identity.filter(|_| certain),
        }),
    }
}

struct Assembly<'a> {
    variables: &'a BTreeMap<String, Variable>,
    architecture: &'a str,
}

impl Assembly<'_> {
    /// The facts, what is in doubt about them, and what is certain whatever that is.
    fn answer(&self, scan: &Scan<'_>, source: &Source<'_>) -> Sure<(Facts, Option<Reason>, Identity)> {
        let mut identity = self.identity()?;
        let kinds = self.check_kinds(&identity.arch);
        let mut doubt = kinds.and_then(|()| self.check_other_architectures(&identity.arch)).err();
        let base = self.base(&identity).unwrap_or_else(|reason| {
            doubt.get_or_insert(reason);
            Facts::default()
        });
        let mut packages = Vec::new();
        for (name, arch) in &mut identity.packages {
            let function = package_function(name, self.names()?.len(), &scan.functions)?;
            let package = (name.as_str(), identity.pkgbase.as_str());
            let overrides = overrides::read(function, source, self.variables, package);
            if let Some(reason) = overrides.doubt_about_arch {
                return Err(reason);
            }
            if let Some(own) = overrides.arrays.get("arch") {
                *arch = checked_arch(own.clone())?;
                let here = |arch: &[String]| arch.iter().any(|arch| arch == self.architecture);
                if here(arch) && !here(&identity.arch) {
                    let message = format!("{name} is for an architecture that pkgbase is not for");
                    doubt.get_or_insert(Reason::new(message, None));
                }
            }
            match self.package(name, arch, &overrides) {
                Ok(package) => packages.push(package),
                Err(reason) => {
                    doubt.get_or_insert(reason);
                }
            }
        }
        let facts = Facts { packages, ..base };
        Ok((facts, doubt, identity))
    }

    fn string(&self, name: &str) -> Sure<Option<&str>> {
        match self.variables.get(name) {
            None => Ok(None),
            Some(Variable::Scalar(value)) => Ok(Some(value)),
            Some(Variable::Array(_)) => Err(Reason::new(format!("{name} is an array"), None)),
            Some(Variable::Unknown { reason, .. }) => Err(reason.clone()),
        }
    }

    fn array(&self, name: &str) -> Sure<&[String]> {
        match self.variables.get(name) {
            None => Ok(&[]),
            Some(Variable::Array(values)) => Ok(values),
            Some(Variable::Scalar(_)) => Err(Reason::new(format!("{name} is no array"), None)),
            Some(Variable::Unknown { reason, .. }) => Err(reason.clone()),
        }
    }

    fn names(&self) -> Sure<&[String]> {
        match self.variables.get("pkgname") {
            Some(Variable::Scalar(name)) => Ok(std::slice::from_ref(name)),
            _ => self.array("pkgname"),
        }
    }

    /// Names, version and architectures, before the package functions override any.
    fn identity(&self) -> Sure<Identity> {
        let invalid = |name: &str| Err(Reason::new(format!("{name} is missing or invalid"), None));
        let names = self.names()?;
        let distinct: BTreeSet<&String> = names.iter().collect();
        if names.is_empty() || distinct.len() < names.len() || !names.iter().all(|name| rules::is_name(name))
        {
            return invalid("pkgname");
        }
        let pkgbase = match self.string("pkgbase")? {
            Some(base) if !base.is_empty() => base.to_owned(),
            _ => names[0].clone(),
        };
        if !rules::is_name(&pkgbase) {
            return invalid("pkgbase");
        }
        let version = self.version()?;
        let arch = checked_arch(self.array("arch")?.to_vec())?;
        let packages = names.iter().map(|name| (name.clone(), arch.clone())).collect();
        Ok(Identity { pkgbase, version, arch, packages })
    }

    fn version(&self) -> Sure<Version> {
        let invalid = |name: &str| Err(Reason::new(format!("{name} is missing or invalid"), None));
        let pkgver = self.string("pkgver")?.unwrap_or_default();
        if !rules::is_pkgver(pkgver) {
            return invalid("pkgver");
        }
        let pkgrel = self.string("pkgrel")?.unwrap_or_default();
        if !rules::is_pkgrel(pkgrel) {
            return invalid("pkgrel");
        }
        let epoch = match self.string("epoch")?.unwrap_or_default() {
            "" => 0,
            epoch if rules::is_number(epoch) => epoch.parse().unwrap_or(0),
            _ => return invalid("epoch"),
        };
        Ok(Version {
            epoch: Some(epoch).filter(|epoch| *epoch > 0),
            pkgver: pkgver.to_owned(),
            pkgrel: pkgrel.to_owned(),
        })
    }

    /// What makepkg checks of every variable: strings are strings, arrays are
    /// arrays, and most of those may hold nothing empty.
    fn check_kinds(&self, arch: &[String]) -> Sure<()> {
        for (name, variable) in self.variables {
            let empty = match variable {
                Variable::Array(values) | Variable::Unknown { known: values, .. } => {
                    values.iter().any(String::is_empty)
                }
                Variable::Scalar(_) => false,
            };
            if empty && rules::must_be_array(name, arch) == Some(true) {
                return Err(Reason::new(format!("{name} has an empty value"), None));
            }
            let array = match variable {
                Variable::Array(_) => true,
                Variable::Scalar(_) => false,
                Variable::Unknown { .. } => continue,
            };
            let wrong = rules::must_be_array(name, arch).is_some_and(|must| must != array);
            if wrong || rules::is_misplaced_architecture(name, arch) {
                return Err(Reason::new(format!("{name} is not set as makepkg wants it"), None));
            }
        }
        Ok(())
    }

    /// makepkg refuses a `PKGBUILD` for what is wrong for another architecture, too.
    fn check_other_architectures(&self, arch: &[String]) -> Sure<()> {
        for arch in arch.iter().filter(|arch| *arch != "any") {
            for name in ["depends", "makedepends", "checkdepends", "provides"] {
                let name = format!("{name}_{arch}");
                let provided = name.starts_with("provides");
                let sound = if provided { rules::is_provision } else { rules::is_dependency };
                checked(&name, self.array(&name)?.to_vec(), sound)?;
            }
        }
        // makepkg prints nothing of these, and yet takes them into account when it builds.
        if arch == ["any"] {
            for name in ["depends", "makedepends", "checkdepends", "provides"] {
                let name = format!("{name}_{}", self.architecture);
                if self.variables.contains_key(&name) {
                    let message = format!("{name} is set although it is for any architecture");
                    return Err(Reason::new(message, None));
                }
            }
        }
        Ok(())
    }

    /// The facts of the package base.
    fn base(&self, identity: &Identity) -> Sure<Facts> {
        let none = Overrides::default();
        let list = |name| self.list(name, &identity.arch, &none);
        let dependencies = |name| checked(name, list(name)?, rules::is_dependency);
        Ok(Facts {
            pkgbase: identity.pkgbase.clone(),
            version: identity.version.clone(),
            arch: identity.arch.clone(),
            packages: Vec::new(),
            depends: dependencies("depends")?,
            makedepends: dependencies("makedepends")?,
            checkdepends: dependencies("checkdepends")?,
            provides: checked("provides", list("provides")?, rules::is_provision)?,
            options: checked("options", self.array("options")?.to_vec(), rules::is_option)?,
        })
    }

    fn package(&self, name: &str, arch: &[String], overrides: &Overrides) -> Sure<StaticPackage> {
        if let Some(reason) = &overrides.doubt {
            return Err(reason.clone());
        }
        let options = overrides.arrays.get("options").cloned();
        checked("options", options.unwrap_or_default(), rules::is_option)?;
        for (name, values) in &overrides.arrays {
            if name.starts_with("provides") {
                checked(name, values.clone(), rules::is_provision)?;
            } else if name.starts_with("depends") {
                checked(name, values.clone(), rules::is_dependency)?;
            }
        }
        let depends = self.list("depends", arch, overrides)?;
        let provides = self.list("provides", arch, overrides)?;
        Ok(StaticPackage {
            name: name.to_owned(),
            arch: arch.to_vec(),
            depends: checked("depends", depends, rules::is_dependency)?,
            provides: checked("provides", provides, rules::is_provision)?,
        })
    }

    /// An array with that of the architecture after it, overridden or not.
    fn list(&self, name: &str, arch: &[String], overrides: &Overrides) -> Sure<Vec<String>> {
        let own = format!("{name}_{}", self.architecture);
        let values = |name: &str| match overrides.arrays.get(name) {
            Some(values) => Ok(values.clone()),
            None => self.array(name).map(<[String]>::to_vec),
        };
        let mut list = values(name)?;
        let of_architecture = values(&own)?;
        if arch.iter().any(|arch| arch == self.architecture) {
            list.extend(of_architecture);
        }
        Ok(list)
    }

    /// What can be made out whatever is in doubt.
    fn hints(&self) -> Hints {
        let known = |name: &str| match self.variables.get(name) {
            Some(Variable::Array(values) | Variable::Unknown { known: values, .. }) => values.clone(),
            Some(Variable::Scalar(value)) => vec![value.clone()],
            None => Vec::new(),
        };
        let list = |name: &str, sound: fn(&str) -> bool| {
            let mut list = known(name);
            list.extend(known(&format!("{name}_{}", self.architecture)));
            list.retain(|value| sound(value));
            list
        };
        let names = list("pkgname", rules::is_name);
        let pkgbase = known("pkgbase").into_iter().chain(names.iter().cloned()).next();
        Hints {
            pkgbase: pkgbase.filter(|name| rules::is_name(name)),
            depends: list("depends", rules::is_dependency),
            makedepends: list("makedepends", rules::is_dependency),
            checkdepends: list("checkdepends", rules::is_dependency),
            provides: list("provides", rules::is_provision),
            names,
        }
    }
}

/// The values, if makepkg would take every one of them.
fn checked(name: &str, values: Vec<String>, sound: fn(&str) -> bool) -> Sure<Vec<String>> {
    if let Some(bad) = values.iter().find(|value| !sound(value)) {
        let message = format!("{name} has an invalid value: {}", bad.escape_debug());
        return Err(Reason::new(message, None));
    }
    Ok(values)
}

/// Architectures as makepkg takes them: some, each once, and `any` only alone.
fn checked_arch(arch: Vec<String>) -> Sure<Vec<String>> {
    let distinct: BTreeSet<&String> = arch.iter().collect();
    let sound = matches!(arch.len(), 1..=MAX_ARCHITECTURES)
        && distinct.len() == arch.len()
        && arch.iter().all(|name| rules::is_architecture(name))
        && (arch.len() == 1 || !arch.iter().any(|name| name == "any"));
    if sound {
        return Ok(arch);
    }
    Err(Reason::new("arch is missing or invalid", None))
}

/// The function that makes a package.
fn package_function<'a, 'b>(
    name: &str,
    packages: usize,
    functions: &'a [Function<'b>],
) -> Sure<&'a Function<'b>> {
    let own = format!("package_{name}");
    let of_name = |wanted: &str| {
        let mut found = functions.iter().filter(|function| function.name == wanted);
        (found.next(), found.next().is_some())
    };
    let (own, own_again) = of_name(&own);
    let (common, common_again) = of_name("package");
    if own_again || common_again {
        return Err(Reason::new("a package function is defined twice", None));
    }
    match (own, common) {
        (Some(function), None) => Ok(function),
        (None, Some(function)) if packages == 1 => Ok(function),
        (Some(_), Some(_)) => Err(Reason::new("there is a package() function too many", None)),
        _ => Err(Reason::new(format!("there is no package function for {name}"), None)),
    }
}
