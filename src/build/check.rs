//! Steps 2 and 3: bring `pkgver` up to date, and ask the package server what it lacks.

use alpm_srcinfo::SourceInfoV1;

use super::StepResult;
use super::makepkg;
use super::session::{As, Session};
use crate::outcome::{Failure, FailureKind};
use crate::server::{PackageId, ServerError};

/// A package that makepkg promises to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    /// The package.
    pub package: PackageId,
    /// Its file name.
    pub file: String,
    /// Whether makepkg may leave it out: a debug package of what turns out to have no debug symbols.
    pub optional: bool,
}

/// What an entry would make, and what of it the server lacks.
#[derive(Debug)]
pub(super) struct Promises {
    /// All packages.
    pub all: Vec<Promise>,
    /// Those that the server does not have.
    pub missing: Vec<PackageId>,
    /// What makepkg needs to be installed.
    pub dependencies: Vec<String>,
}

impl Session<'_> {
    /// Downloads and unpacks the sources so that `pkgver()` can look at them. `prepare()` is not run: it
    /// may need dependencies that are not there yet.
    pub async fn version_step(&self, directory: &str) -> StepResult<()> {
        let command = &["makepkg", "--nobuild", "--nodeps", "--noprepare", "--noconfirm"];
        let code = self.run_command("makepkg --nobuild", As::Builder, directory, command).await?;
        if code == 0 {
            return Ok(());
        }
        // pkgver() may use a tool that is among the dependencies.
        let source = self.source_info(directory).await?;
        let dependencies = super::dependencies::of(&source, &self.workshop.engine.info.arch)?;
        if !dependencies.is_empty() {
            self.install(directory, &dependencies).await?;
            if self.run_command("makepkg --nobuild", As::Builder, directory, command).await? == 0 {
                return Ok(());
            }
        }
        let what = "getting the sources and the version";
        let failure = makepkg::failure(what, code, FailureKind::Version, &self.last_words());
        Err(self.explain(code, failure).await)
    }

    /// Asks makepkg what it would make, and the package server what of that it has.
    pub async fn check_step(&self, directory: &str) -> StepResult<Promises> {
        let source = self.source_info(directory).await?;
        let pkgbase = source.base.name.to_string();
        self.record().pkgbase = Some(pkgbase.clone());
        let declared: Vec<String> = source.packages.iter().map(|p| p.name.to_string()).collect();
        let all = self.promises(directory, &pkgbase, &declared).await?;
        self.record().version = all.first().map(|promise| promise.package.version.clone());
        let dependencies = super::dependencies::of(&source, &self.workshop.engine.info.arch)?;
        let mut missing = Vec::new();
        for promise in all.iter().filter(|promise| !promise.optional) {
            if !self.server_has(&promise.package).await.map_err(server_failure)? {
                missing.push(promise.package.clone());
            }
        }
        Ok(Promises { all, missing, dependencies })
    }

    async fn server_has(&self, package: &PackageId) -> Result<bool, ServerError> {
        let arch = &self.workshop.engine.info.arch;
        self.workshop.server.has(&self.task.entry.repo, arch, package).await
    }

    async fn source_info(&self, directory: &str) -> StepResult<SourceInfoV1> {
        let command = ["makepkg", "--printsrcinfo"];
        let (code, text) =
            self.ask_command("makepkg --printsrcinfo", As::Builder, directory, &command).await?;
        if code != 0 {
            let what = "reading the PKGBUILD";
            return Err(makepkg::failure(what, code, FailureKind::Pkgbuild, &self.last_words()));
        }
        SourceInfoV1::from_string(&text).map_err(|error| {
            let message = format!("makepkg's description of the PKGBUILD makes no sense: {error}");
            Failure::new(FailureKind::Pkgbuild, message).hint("correct the PKGBUILD")
        })
    }

    async fn promises(
        &self,
        directory: &str,
        pkgbase: &str,
        declared: &[String],
    ) -> StepResult<Vec<Promise>> {
        let command = ["makepkg", "--packagelist"];
        let (code, text) =
            self.ask_command("makepkg --packagelist", As::Builder, directory, &command).await?;
        if code != 0 {
            let what = "listing the packages";
            return Err(makepkg::failure(what, code, FailureKind::Pkgbuild, &self.last_words()));
        }
        let debug_name = format!("{pkgbase}-debug");
        let mut promises = Vec::new();
        for path in text.lines().filter(|line| !line.is_empty()) {
            let file = path.rsplit('/').next().unwrap_or(path);
            let package = makepkg::parse_package_file(file).ok_or_else(|| {
                let message = format!("makepkg promises a file with a name that is no package's: {file:?}");
                Failure::new(FailureKind::Pkgbuild, message).hint("correct the PKGBUILD")
            })?;
            let is_debug = package.name == debug_name && !declared.contains(&package.name);
            if is_debug && !self.workshop.settings.debug_packages.0 {
                continue;
            }
            if !is_debug && !declared.contains(&package.name) {
                let message = format!("makepkg promises {package}, which the PKGBUILD does not declare");
                return Err(Failure::new(FailureKind::Refused, message).hint("correct the PKGBUILD"));
            }
            promises.push(Promise { package, file: file.to_owned(), optional: is_debug });
        }
        if promises.iter().all(|promise| promise.optional) {
            return Err(Failure::new(FailureKind::Pkgbuild, "the PKGBUILD makes no package"));
        }
        Ok(promises)
    }
}

pub(super) fn server_failure(error: ServerError) -> Failure {
    let hint = error.hint();
    Failure::new(FailureKind::Server, error.to_string()).hint(hint)
}
