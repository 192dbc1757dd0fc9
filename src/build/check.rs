//! Steps 2 and 3: bring `pkgver` up to date, and ask the package server what it lacks.

use super::StepResult;
use super::makepkg;
use super::session::{As, Session};
use super::srcinfo::{self, SourceInfo};
use crate::outcome::{Failure, FailureKind, Verdict};
use crate::plan;
use crate::server::{PackageId, ServerError};
use crate::telemetry;

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

/// What an entry makes, and what for that must be installed.
#[derive(Debug)]
pub(super) struct Promises {
    /// All packages.
    pub all: Vec<Promise>,
    /// What makepkg needs to be installed.
    pub dependencies: Vec<String>,
}

/// What the check came to.
#[derive(Debug)]
pub(super) enum Checked {
    /// There is something to build.
    Build(Promises),
    /// There is not.
    Enough(Verdict),
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
        let info = self.source_info(directory).await?;
        if !is_for(&info, &self.workshop.engine.info.arch) {
            // makepkg refuses such a PKGBUILD; the check says so.
            return Ok(());
        }
        let dependencies = super::dependencies::of(&info)?;
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
    pub async fn check_step(&self, directory: &str) -> StepResult<Checked> {
        let (info, listed) = tokio::try_join!(self.source_info(directory), self.package_list(directory))?;
        let (pkgbase, arch) = (&info.pkgbase, &self.workshop.engine.info.arch);
        telemetry::name_entry(&self.span, pkgbase);
        self.record().pkgbase = Some(pkgbase.clone());
        self.record().version = Some(info.version.clone());
        if let Some(reason) = plan::unwanted(&self.workshop.selection, pkgbase) {
            return Ok(Checked::Enough(Verdict::Skipped { reason }));
        }
        if !is_for(&info, arch) {
            let reason = format!("its PKGBUILD is not for {arch}");
            return Ok(Checked::Enough(Verdict::Skipped { reason }));
        }
        let all = self.promises(&info, &listed)?;
        let decided = self.task.decided || self.workshop.selection.force.applies_to(pkgbase);
        if !decided && self.server_has_all(&all).await? {
            return Ok(Checked::Enough(Verdict::UpToDate));
        }
        let dependencies = super::dependencies::of(&info)?;
        Ok(Checked::Build(Promises { all, dependencies }))
    }

    async fn server_has_all(&self, promises: &[Promise]) -> StepResult<bool> {
        let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
        for promise in promises.iter().filter(|promise| !promise.optional) {
            let there = self.workshop.server.has(repo, arch, &promise.package).await;
            if !there.map_err(server_failure)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn source_info(&self, directory: &str) -> StepResult<SourceInfo> {
        let command = ["makepkg", "--printsrcinfo"];
        let (code, text) =
            self.ask_command("makepkg --printsrcinfo", As::Builder, directory, &command).await?;
        if code != 0 {
            let what = "reading the PKGBUILD";
            return Err(makepkg::failure(what, code, FailureKind::Pkgbuild, &self.last_words()));
        }
        srcinfo::parse(&text, &self.workshop.engine.info.arch).map_err(|error| {
            let message = format!("makepkg's description of the PKGBUILD {error}");
            Failure::new(FailureKind::Pkgbuild, message).hint("correct the PKGBUILD")
        })
    }

    async fn package_list(&self, directory: &str) -> StepResult<String> {
        let command = ["makepkg", "--packagelist"];
        let (code, text) =
            self.ask_command("makepkg --packagelist", As::Builder, directory, &command).await?;
        if code != 0 {
            let what = "listing the packages";
            return Err(makepkg::failure(what, code, FailureKind::Pkgbuild, &self.last_words()));
        }
        Ok(text)
    }

    /// What the list of files promises, held against what the PKGBUILD declares.
    fn promises(&self, info: &SourceInfo, listed: &str) -> StepResult<Vec<Promise>> {
        let declared = |name: &str| info.packages.iter().any(|package| package == name);
        let debug_name = format!("{}-debug", info.pkgbase);
        let mut promises = Vec::new();
        for path in listed.lines().filter(|line| !line.is_empty()) {
            let file = path.rsplit('/').next().unwrap_or(path);
            let package = makepkg::parse_package_file(file).ok_or_else(|| {
                let message = format!("makepkg promises a file with a name that is no package's: {file:?}");
                Failure::new(FailureKind::Pkgbuild, message).hint("correct the PKGBUILD")
            })?;
            let is_debug = package.name == debug_name && !declared(&package.name);
            if is_debug && !self.workshop.settings.debug_packages.0 {
                continue;
            }
            if !is_debug && !declared(&package.name) {
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

fn is_for(info: &SourceInfo, arch: &str) -> bool {
    info.arch.iter().any(|a| a == arch || a == "any")
}

/// The package server's trouble as an entry's.
pub(crate) fn server_failure(error: ServerError) -> Failure {
    let hint = error.hint();
    Failure::new(FailureKind::Server, error.to_string()).hint(hint)
}
