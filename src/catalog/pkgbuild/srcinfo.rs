//! The same facts from a `.SRCINFO`.

use alpm_srcinfo::{MergedPackage, SourceInfoV1};
use alpm_types::{Architecture, Architectures};

use super::{Facts, StaticPackage, Version, rules};

/// The largest `.SRCINFO` that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// Why a `.SRCINFO` says nothing.
#[derive(Debug, thiserror::Error)]
pub enum SrcinfoError {
    /// It is larger than 1 MiB.
    #[error(".SRCINFO is larger than 1 MiB")]
    TooLarge,
    /// It is not UTF-8.
    #[error(".SRCINFO is not UTF-8")]
    NotUtf8,
    /// It is no valid `.SRCINFO`.
    #[error(".SRCINFO is invalid: {0}")]
    Invalid(String),
    /// Its version is not spelled the way it would be in a file name, such as a `pkgrel` of `01`.
    #[error(".SRCINFO has an unusual version: {0}")]
    UnusualVersion(String),
    /// The architecture asked for is none.
    #[error("no architecture: {0}")]
    Architecture(String),
}

/// Reads a `.SRCINFO` for one architecture.
///
/// # Errors
/// [`SrcinfoError`], if it does not follow the format or its version is spelled in an unusual way.
/// Source of the format: `makepkg --printsrcinfo` and the SRCINFO(5) of the alpm project.
pub fn read_srcinfo(text: &[u8], architecture: &str) -> Result<Facts, SrcinfoError> {
    if text.len() > MAX_BYTES {
        return Err(SrcinfoError::TooLarge);
    }
    let text = std::str::from_utf8(text).map_err(|_| SrcinfoError::NotUtf8)?;
    let info = SourceInfoV1::from_string(text)
        .map_err(|error| SrcinfoError::Invalid(one_line(&error.to_string())))?;
    let wanted: Architecture =
        architecture.parse().map_err(|_| SrcinfoError::Architecture(architecture.to_owned()))?;
    let base = &info.base;
    let version = version(&info, text)?;
    let arch = names_of(&base.architectures);
    let own = match &wanted {
        Architecture::Some(system) => base.architecture_properties.get(system),
        Architecture::Any => None,
    };
    let packages = info.packages.iter().map(|package| {
        let own = package.architectures.as_ref().unwrap_or(&base.architectures);
        // Of a package for any architecture, makepkg prints nothing for a particular one.
        let merged = match own {
            Architectures::Any => Architecture::Any,
            Architectures::Some(_) => wanted.clone(),
        };
        let merged = MergedPackage::from_base_and_package(merged, base, package);
        StaticPackage {
            name: merged.name.to_string(),
            arch: names_of(own),
            depends: strings(&merged.dependencies),
            provides: strings(&merged.provides),
        }
    });
    let both = |all: Vec<String>, own: Option<Vec<String>>| -> Vec<String> {
        all.into_iter().chain(own.into_iter().flatten()).collect()
    };
    Ok(Facts {
        pkgbase: base.name.to_string(),
        version,
        packages: packages.collect(),
        depends: both(strings(&base.dependencies), own.map(|own| strings(&own.dependencies))),
        makedepends: both(strings(&base.make_dependencies), own.map(|own| strings(&own.make_dependencies))),
        checkdepends: both(
            strings(&base.check_dependencies),
            own.map(|own| strings(&own.check_dependencies)),
        ),
        provides: both(strings(&base.provides), own.map(|own| strings(&own.provides))),
        options: strings(&base.options),
        arch,
    })
}

fn strings<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn names_of(architectures: &Architectures) -> Vec<String> {
    match architectures {
        Architectures::Any => vec!["any".to_owned()],
        Architectures::Some(list) => strings(list),
    }
}

/// The first line of a message, for logs.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The version, spelled as in the text.
fn version(info: &SourceInfoV1, text: &str) -> Result<Version, SrcinfoError> {
    let version = &info.base.version;
    let epoch = version.epoch.as_ref().map(|epoch| epoch.0 as u64);
    let parsed = Version {
        epoch: epoch.filter(|epoch| *epoch > 0),
        pkgver: version.pkgver.to_string(),
        pkgrel: version.pkgrel.to_string(),
    };
    let mut written = text.lines().filter_map(|line| line.split_once('='));
    let spelled = written.all(|(key, value)| {
        let value = value.trim();
        match key.trim() {
            "pkgver" => value == parsed.pkgver,
            "pkgrel" => value == parsed.pkgrel,
            "epoch" => rules::is_number(value) && value == epoch.unwrap_or(0).to_string(),
            _ => true,
        }
    });
    let sound = rules::is_pkgver(&parsed.pkgver) && rules::is_pkgrel(&parsed.pkgrel);
    if spelled && sound {
        return Ok(parsed);
    }
    Err(SrcinfoError::UnusualVersion(parsed.to_string()))
}
