//! The dependencies of a build: named by makepkg, checked name by name, installed by root's pacman.

use std::collections::HashMap;

use bytes::Bytes;

use super::StepResult;
use super::check::server_failure;
use super::session::{As, Session, engine_failure};
use super::srcinfo::SourceInfo;
use crate::outcome::{Failure, FailureKind};
use crate::plan::relation::{Relation, is_newer};
use crate::server::Database;

/// The section of pacman.conf for the packages of the destination repository. Its own name, because the
/// repository's may be one that the base image uses.
const SECTION: &str = "vieter-own";
/// The pacman.conf that has this section.
const CONFIG: &str = "/etc/pacman-vieter.conf";
/// Where pacman looks for packages before it downloads them.
const CACHE: &str = "/var/cache/pacman/pkg";

/// The dependencies of a build, once each of them is checked.
pub(super) fn of(info: &SourceInfo) -> StepResult<Vec<String>> {
    let names = &info.dependencies;
    match names.iter().find(|name| !is_dependency(name)) {
        None => Ok(names.clone()),
        Some(name) => {
            let message = format!("the dependency {name:?} is no name of a package");
            Err(Failure::new(FailureKind::Dependency, message).hint("correct the PKGBUILD"))
        }
    }
}

/// Whether a word is a dependency as PKGBUILD(5) knows it: a name, and perhaps `<`, `<=`, `=`, `>=` or
/// `>` and a version. Nothing else is handed to root's pacman: no option, path, URL or repository.
fn is_dependency(word: &str) -> bool {
    let name_end = word.find(['<', '>', '=']).unwrap_or(word.len());
    let (name, constraint) = word.split_at(name_end);
    let version = constraint.trim_start_matches(['<', '>', '=']);
    let operator = &constraint[..constraint.len() - version.len()];
    crate::catalog::is_package_name(name)
        && matches!((operator, version), ("", "") | ("<" | "<=" | "=" | ">=" | ">", _))
        && operator.is_empty() == version.is_empty()
        && version.chars().all(|c| c.is_ascii_graphic() && c != '/')
}

/// The destination repository's database, as it is and read.
struct Own {
    bytes: Bytes,
    packages: Database,
}

impl Session<'_> {
    /// Installs what is not installed yet, from the destination repository and those of the image.
    pub async fn install(&self, directory: &str, dependencies: &[String]) -> StepResult<()> {
        if dependencies.is_empty() {
            return Ok(());
        }
        let own = self.own_database().await?;
        let missing = self.missing(directory, dependencies, own.as_ref().map(|own| &own.packages)).await?;
        if missing.is_empty() {
            return Ok(());
        }
        self.put_database(own.as_ref()).await?;
        let Err(failure) = self.resolve_and_install(&missing).await? else { return Ok(()) };
        if !self.record().blocked_by.is_empty() {
            return Err(failure);
        }
        // The image's databases may be older than what is wanted, or name files that the mirror does not have any
        // more. They are only ever refreshed together with an upgrade of the whole system.
        let upgrade = ["pacman", "-Syu", "--noconfirm"];
        let upgraded = self.run_command("pacman -Syu", As::Root, "/", &upgrade).await? == 0;
        let second = if upgraded { self.resolve_and_install(&missing).await? } else { Err(failure) };
        match second {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.explain(failure.exit_code.unwrap_or_default(), failure).await),
        }
    }

    /// The destination repository's database; none where nothing was ever published there.
    async fn own_database(&self) -> StepResult<Option<Own>> {
        let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
        let Some(bytes) = self.workshop.server.database(repo, arch).await.map_err(server_failure)? else {
            return Ok(None);
        };
        let packages = Database::parse(&bytes).await.map_err(|why| {
            let message = format!("the database of {repo} cannot be read: {why}");
            Failure::new(FailureKind::Server, message).hint("look at the package server's files")
        })?;
        Ok(Some(Own { bytes, packages }))
    }

    /// Those dependencies that nothing installed satisfies (`pacman --deptest`), and those of which the destination
    /// repository has a newer version than the one that the image brought.
    async fn missing(
        &self,
        directory: &str,
        dependencies: &[String],
        own: Option<&Database>,
    ) -> StepResult<Vec<String>> {
        let mut command = vec!["pacman", "-T", "--"];
        command.extend(dependencies.iter().map(String::as_str));
        let (_, text) = self.ask_command("pacman -T", As::Builder, directory, &command).await?;
        // The build user's pacman answers, so its answer is not trusted to name anything else.
        let lacking = |wanted: &String| text.lines().any(|line| line == wanted);
        let mut missing: Vec<String> = dependencies.iter().filter(|w| lacking(w)).cloned().collect();
        let ours = dependencies.iter().filter(|wanted| !lacking(wanted)).filter_map(|wanted| {
            let name = Relation::parse(wanted).name;
            own?.find(name).map(|package| (wanted, name, package.version.as_str()))
        });
        let ours: Vec<_> = ours.collect();
        if !ours.is_empty() {
            let mut command = vec!["pacman", "-Q", "--"];
            command.extend(ours.iter().map(|(_, name, _)| name));
            let (_, text) = self.ask_command("pacman -Q", As::Builder, directory, &command).await?;
            let installed: HashMap<&str, &str> =
                text.lines().filter_map(|line| line.split_once(' ')).collect();
            let newer = ours.into_iter().filter(|(_, name, version)| {
                installed.get(name).is_some_and(|installed| is_newer(version, installed))
            });
            missing.extend(newer.map(|(wanted, _, _)| wanted.clone()));
        }
        Ok(missing)
    }

    /// Puts the destination repository's database where the container's pacman finds it.
    async fn put_database(&self, own: Option<&Own>) -> StepResult<()> {
        let section = match own {
            Some(_) => format!("[{SECTION}]\nSigLevel = Never\nServer = file://{CACHE}\n\n"),
            None => String::new(),
        };
        let config = format!("{section}[options]\nInclude = /etc/pacman.conf\n");
        let put = self.container().await?.put("/", 0, async |tar| {
            tar.file(CONFIG.trim_start_matches('/'), config.as_bytes()).await?;
            match own {
                Some(own) => tar.file(format!("var/lib/pacman/sync/{SECTION}.db"), &own.bytes).await,
                None => Ok(()),
            }
        });
        put.await.map_err(engine_failure)
    }

    /// One attempt: lets the container's pacman resolve the dependencies, puts the files that it would take from the
    /// destination repository into its cache, and installs. The inner error is one that newer databases may mend.
    async fn resolve_and_install(&self, missing: &[String]) -> StepResult<Result<(), Failure>> {
        let mut command = vec!["pacman", "--config", CONFIG, "-Sp", "--print-format", "%r %l"];
        command.extend(["--needed", "--noconfirm", "--"]);
        command.extend(missing.iter().map(String::as_str));
        let (code, text) = self.ask_command("pacman -Sp", As::Root, "/", &command).await?;
        let blocked_by = if code == 0 { Vec::new() } else { self.named_suspects() };
        self.record().blocked_by = blocked_by;
        if code != 0 {
            let message = format!("the dependencies cannot be resolved: {}", self.last_words());
            let failure = Failure::new(FailureKind::Dependency, message)
                .hint("add what is missing to the list, or correct the PKGBUILD");
            return Ok(Err(failure.exit_code(code)));
        }
        let own =
            text.lines().filter_map(|line| line.strip_prefix(SECTION)?.strip_prefix(' ')?.rsplit('/').next());
        let own: Vec<&str> = own.filter(|file| !file.is_empty() && !file.starts_with('.')).collect();
        self.send_own_packages(&own).await?;
        let code = self.pacman_install(missing).await?;
        if code == 0 {
            return Ok(Ok(()));
        }
        let message = format!("pacman cannot install {}: {}", missing.join(" "), self.last_words());
        let failure = Failure::new(FailureKind::Dependency, message)
            .hint("see whether the mirror of the base image can be reached from containers");
        Ok(Err(failure.exit_code(code)))
    }

    async fn send_own_packages(&self, files: &[&str]) -> StepResult<()> {
        let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
        let container = self.container().await?;
        for file in files {
            let contents = self.workshop.server.package(repo, arch, file).await.map_err(server_failure)?;
            let put = container
                .put(CACHE, 0, async |tar| tar.stream(file, contents.size, 0o644, contents.reader).await);
            put.await.map_err(engine_failure)?;
        }
        Ok(())
    }

    async fn pacman_install(&self, names: &[String]) -> StepResult<i64> {
        let mut command =
            vec!["pacman", "--config", CONFIG, "-S", "--needed", "--asdeps", "--noconfirm", "--"];
        command.extend(names.iter().map(String::as_str));
        self.run_command("pacman -S", As::Root, "/", &command).await
    }
}

#[cfg(test)]
mod tests {
    use super::is_dependency;

    #[test]
    fn only_names_with_constraints_reach_pacman() {
        for good in ["glibc", "foo>=1.0", "foo=1:2.3-4", "libfoo.so=1-64", "gtk+", "a<2", "b>1", "c<=3~rc1"] {
            assert!(is_dependency(good), "{good}");
        }
        for bad in [
            "",
            "-Rdd",
            "--root=/",
            "core/glibc",
            "/tmp/x.pkg.tar",
            "https://x/y",
            "foo>",
            "foo==1",
            "foo bar",
            "foo>=1 -y",
            "foo=a/b",
            "foo;id",
            "=1",
            "foo=1\n-y",
            "foo><1",
        ] {
            assert!(!is_dependency(bad), "{bad}");
        }
    }
}
