//! Steps 2 and 3: bring `pkgver` up to date, and ask the package server what it lacks.

use super::session::{As, Session};
use super::srcinfo::{self, SourceInfo};
use super::{StepResult, freshen, makepkg};
use crate::catalog::git::LARGEST_FILE;
use crate::catalog::pkgbuild::Facts;
use crate::outcome::{Failure, FailureKind, Verdict};
use crate::plan;
use crate::server::{PackageId, ServerError};
use crate::telemetry;

/// What an entry makes, and what for that must be installed.
#[derive(Debug)]
pub(super) struct Promises {
    /// The package base.
    pub pkgbase: String,
    /// All packages.
    pub packages: Vec<PackageId>,
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

/// Downloads and unpacks the sources so that `pkgver()` can look at them. `prepare()` is not run: it may need
/// dependencies that are not there yet.
const GET_SOURCES: &[&str] = &["makepkg", "--nobuild", "--nodeps", "--noprepare", "--noconfirm"];

impl Session<'_> {
    /// Whether the user does not want what is only now known by its name; then there is no need for its sources.
    pub async fn unwanted(&self, directory: &str) -> StepResult<Option<Verdict>> {
        let selection = &self.workshop.selection;
        if selection.only.is_none() && selection.ignore.is_none() {
            return Ok(None);
        }
        let pkgbase = self.source_info(directory).await?.pkgbase;
        let reason = plan::unwanted(selection, &pkgbase);
        self.record().pkgbase = Some(pkgbase);
        Ok(reason.map(|reason| Verdict::Skipped { reason }))
    }

    /// Brings the version up to date.
    pub async fn version_step(&self, directory: &str) -> StepResult<()> {
        let get_sources = || self.run_command("makepkg --nobuild", As::Builder, directory, GET_SOURCES);
        let mut code = if self.keeps_sources() {
            let folder = freshen::folder();
            let command = freshen::and_then(&folder, GET_SOURCES);
            self.run_command("makepkg --nobuild", As::Builder, directory, &command).await?
        } else {
            get_sources().await?
        };
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
            code = get_sources().await?;
        }
        if code != 0 && self.keeps_sources() {
            self.forget_sources().await?;
            code = get_sources().await?;
        }
        if code == 0 {
            return Ok(());
        }
        let what = "getting the sources and the version";
        let failure = makepkg::failure(what, code, FailureKind::Version, &self.last_words());
        Err(self.explain(code, failure).await)
    }

    /// Asks makepkg what it would make, and the package server what of that it has. Where that is certain, and
    /// decided, nobody is asked.
    pub async fn check_step(&self, directory: &str) -> StepResult<Checked> {
        let arch = &self.workshop.engine.info.arch;
        let info = match self.facts() {
            Some(facts) => SourceInfo::from_facts(&facts, arch),
            None => match self.read_inside(directory).await {
                Some(facts) => SourceInfo::from_facts(&facts, arch),
                None => self.source_info(directory).await?,
            },
        };
        let pkgbase = &info.pkgbase;
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
        let decided = self.task.decided || self.workshop.selection.force.applies_to(pkgbase);
        if !decided && self.server_has_all(&info.packages).await? {
            return Ok(Checked::Enough(Verdict::UpToDate));
        }
        let dependencies = super::dependencies::of(&info)?;
        let SourceInfo { pkgbase, packages, .. } = info;
        Ok(Checked::Build(Promises { pkgbase, packages, dependencies }))
    }

    async fn server_has_all(&self, packages: &[PackageId]) -> StepResult<bool> {
        let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
        for package in packages {
            if !self.workshop.server.has(repo, arch, package).await.map_err(server_failure)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the PKGBUILD says now that its version is up to date, where that is certain: makepkg takes a second to
    /// say the same.
    async fn read_inside(&self, directory: &str) -> Option<Facts> {
        let container = self.container().await.ok()?;
        let text = container.read(&format!("{directory}/PKGBUILD"), LARGEST_FILE).await?;
        plan::knowledge::of_current(&text, &self.workshop.engine.info.arch)
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
}

fn is_for(info: &SourceInfo, arch: &str) -> bool {
    info.arch.iter().any(|a| a == arch || a == "any")
}

/// The package server's trouble as an entry's.
pub(crate) fn server_failure(error: ServerError) -> Failure {
    let hint = error.hint();
    Failure::new(FailureKind::Server, error.to_string()).hint(hint)
}
