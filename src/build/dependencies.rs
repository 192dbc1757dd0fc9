//! The dependencies of a build: named by makepkg, checked name by name, installed by root's pacman.

use super::StepResult;
use super::check::server_failure;
use super::session::{As, Session, engine_failure};
use super::srcinfo::SourceInfo;
use crate::outcome::{Failure, FailureKind};

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

impl Session<'_> {
    /// Installs what is not installed yet, from the destination repository and those of the image.
    pub async fn install(&self, directory: &str, dependencies: &[String]) -> StepResult<()> {
        let missing = self.missing(directory, dependencies).await?;
        if missing.is_empty() {
            return Ok(());
        }
        self.offer_own_packages(&missing).await?;
        if self.pacman_install(&missing).await? == 0 {
            return Ok(());
        }
        // The image's databases may name files that the mirror does not have any more. They are only
        // ever refreshed together with an upgrade of the whole system.
        let upgrade = ["pacman", "-Syu", "--noconfirm"];
        let code = self.run_command("pacman -Syu", As::Root, "/", &upgrade).await?;
        let code = if code == 0 { self.pacman_install(&missing).await? } else { code };
        if code == 0 {
            return Ok(());
        }
        let message = format!("pacman cannot install {}: {}", missing.join(" "), self.last_words());
        let failure = Failure::new(FailureKind::Dependency, message)
            .hint("see whether the mirror of the base image can be reached from containers");
        Err(self.explain(code, failure).await)
    }

    /// Those dependencies that nothing installed satisfies (`pacman --deptest`).
    async fn missing(&self, directory: &str, dependencies: &[String]) -> StepResult<Vec<String>> {
        if dependencies.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = vec!["pacman", "-T", "--"];
        command.extend(dependencies.iter().map(String::as_str));
        let (_, text) = self.ask_command("pacman -T", As::Builder, directory, &command).await?;
        // The build user's pacman answers, so its answer is not trusted to name anything else.
        let lines = text.lines().filter(|line| dependencies.iter().any(|known| known == line));
        Ok(lines.map(str::to_owned).collect())
    }

    /// Lets the container's pacman resolve the dependencies with the destination repository's database
    /// in place, and puts the files that it would take from there into its cache.
    async fn offer_own_packages(&self, missing: &[String]) -> StepResult<()> {
        let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
        let server = &self.workshop.server;
        let database = server.database(repo, arch).await.map_err(server_failure)?;
        let section = match &database {
            Some(_) => format!("[{SECTION}]\nSigLevel = Never\nServer = file://{CACHE}\n\n"),
            // Nothing was ever published there.
            None => String::new(),
        };
        let container = self.container().await?;
        let put = container.put("/", 0, async |tar| {
            tar.file(CONFIG.trim_start_matches('/'), section.as_bytes()).await?;
            match &database {
                Some(bytes) => tar.file(format!("var/lib/pacman/sync/{SECTION}.db"), bytes).await,
                None => Ok(()),
            }
        });
        put.await.map_err(engine_failure)?;
        let script = format!(
            "cat /etc/pacman.conf >> {CONFIG}\n\
             exec pacman --config {CONFIG} -Sp --print-format '%r %l' --needed --noconfirm -- \"$@\""
        );
        let mut command = vec!["/bin/sh", "-c", &script, "sh"];
        command.extend(missing.iter().map(String::as_str));
        let (code, text) = self.ask_command("pacman -Sp", As::Root, "/", &command).await?;
        if code != 0 {
            let message = format!("the dependencies cannot be resolved: {}", self.last_words());
            return Err(Failure::new(FailureKind::Dependency, message)
                .hint("add what is missing to the list, or correct the PKGBUILD")
                .exit_code(code));
        }
        let own = text.lines().filter_map(|line| line.strip_prefix(&format!("{SECTION} ")));
        let own: Vec<&str> = own
            .filter_map(|address| address.rsplit('/').next())
            .filter(|file| !file.is_empty() && !file.starts_with('.'))
            .collect();
        self.send_own_packages(&own).await
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
