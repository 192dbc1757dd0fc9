//! pacman's own `repo-add`, in a container of the builder image that no PKGBUILD ever ran in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::OnceCell;

use crate::engine::{Container, ContainerSpec, EngineError, Exec, Isolation, Limits};
use crate::image::BuilderImages;

/// Where repo-add works.
const WORK: &str = "/tmp";
/// The folder in it.
const FOLDER: &str = "/tmp/repository";

/// Runs `repo-add`. Its container is started at the first use and kept until the run ends.
pub struct RepoAdd {
    images: Arc<BuilderImages>,
    lifetime: Duration,
    container: OnceCell<Container>,
}

impl RepoAdd {
    /// For one run, which lasts no longer than `lifetime`.
    pub fn new(images: Arc<BuilderImages>, lifetime: Duration) -> Self {
        Self { images, lifetime, container: OnceCell::new() }
    }

    async fn container(&self) -> Result<&Container, EngineError> {
        let spec = ContainerSpec {
            image: String::new(),
            role: "repository",
            lifetime: self.lifetime,
            limits: Limits { pids: 512, nofile: 1024, ..Limits::default() },
            isolation: Isolation::Hostile,
            network: Some("none".into()),
            volumes: Vec::new(),
        };
        self.container.get_or_try_init(|| self.images.start(spec)).await
    }

    /// Adds packages to a database. `existing` are the database files to start from, `packages` the
    /// archives with the names that they are to have; the new database files are written below `out`.
    ///
    /// # Errors
    /// When Docker fails, a file cannot be read or written, or repo-add does not take a package.
    pub async fn add(
        &self,
        repo: &str,
        existing: &[PathBuf],
        packages: &[(String, PathBuf)],
        out: &Path,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let container = self.container().await?;
        self.run(container, "0", &["rm", "-rf", FOLDER]).await?;
        container
            .put(WORK, self.images.uid(), async |tar| {
                tar.directory("repository").await?;
                let existing = existing.iter().filter_map(|path| Some((path.file_name()?.to_str()?, path)));
                let packages = packages.iter().map(|(name, path)| (name.as_str(), path));
                for (name, path) in existing.chain(packages) {
                    let file = tokio::fs::File::open(path).await?;
                    let size = file.metadata().await?.len();
                    tar.stream(format!("repository/{name}"), size, 0o644, file).await?;
                }
                Ok(())
            })
            .await?;
        let database = format!("{repo}.db.tar.gz");
        let mut command = vec!["repo-add", "--quiet", &database];
        command.extend(packages.iter().map(|(name, _)| name.as_str()));
        self.run(container, &self.images.uid().to_string(), &command).await?;
        let mut files = Vec::new();
        for kind in ["db", "files"] {
            let name = format!("{repo}.{kind}.tar.gz");
            files.push(self.fetch(container, &name, out).await?);
        }
        Ok(files)
    }

    async fn run(&self, container: &Container, user: &str, command: &[&str]) -> anyhow::Result<()> {
        let env = ["HOME=/tmp".to_owned(), "LC_ALL=C".to_owned()];
        let mut said = Vec::new();
        let directory = if user == "0" { WORK } else { FOLDER };
        let exec = Exec { user, command, env: &env, directory, idle: None, capture: false };
        let ran = container.exec(exec, |line| said.push(line.to_owned())).await?;
        if ran.code != 0 {
            let program = command.first().copied().unwrap_or_default();
            anyhow::bail!("{program} ended with {}: {}", ran.code, said.join("; "));
        }
        Ok(())
    }

    async fn fetch(&self, container: &Container, name: &str, out: &Path) -> anyhow::Result<PathBuf> {
        let mut tar = container.get(&format!("{FOLDER}/{name}"));
        let mut entries = tar.entries()?;
        let entry = futures_util::StreamExt::next(&mut entries).await;
        let mut entry = entry.ok_or_else(|| anyhow::anyhow!("repo-add left no {name}"))??;
        anyhow::ensure!(entry.header().entry_type().is_file(), "repo-add left a {name} that is no file");
        let path = out.join(format!(".{name}.part"));
        let mut file = tokio::fs::File::create(&path).await?;
        tokio::io::copy(&mut entry, &mut file).await?;
        file.flush().await?;
        file.sync_all().await?;
        Ok(path)
    }
}
