//! Step 5: check what the build left, and send it to the package server.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt;
use tokio::io::AsyncRead;

use super::StepResult;
use super::archive::inspect;
use super::check::{Promise, Promises};
use super::session::{Session, engine_failure};
use crate::engine::Container;
use crate::event::Event;
use crate::image::{BUILD_HOME, PACKAGES};
use crate::outcome::{Failure, FailureKind, Published};
use crate::server::directory::Upload;
use crate::server::{Contents, PackageServer, ServerError, Source};

/// One archive in the stopped container.
struct InContainer<'a> {
    container: &'a Container,
    file: &'a str,
}

impl Source for InContainer<'_> {
    async fn open(&self) -> anyhow::Result<Contents> {
        let path = format!("{BUILD_HOME}/{PACKAGES}/{}", self.file);
        let mut tar = self.container.get(&path);
        let mut entries = tar.entries()?;
        let entry = entries.next().await.with_context(|| format!("{path} is gone"))??;
        ensure!(entry.header().entry_type().is_file(), "{path} is no regular file");
        let size = entry.header().raw_entry_size()?;
        Ok(Contents { size, reader: Box::new(entry) })
    }
}

impl Session<'_> {
    pub async fn publish_step(&self, promises: &Promises) -> StepResult<()> {
        let container = self.container().await?;
        // Nothing can change any more: what is checked is what is sent.
        container.kill().await.map_err(engine_failure)?;
        let found = self.verify(container, &promises.all).await?;
        let archives: Vec<&Promise> =
            promises.all.iter().filter(|promise| found.contains_key(&promise.file)).collect();
        match &*self.workshop.server {
            PackageServer::Vieter(server) => {
                for (done, promise) in archives.iter().enumerate() {
                    let source = InContainer { container, file: &promise.file };
                    let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
                    match server.publish(repo, arch, &promise.package, &source).await {
                        Ok(size) => self.published(promise, size),
                        Err(error) => return Err(partly(&archives, done, &error)),
                    }
                }
            }
            PackageServer::Directory(server) => {
                let uploads: Vec<Upload<'_, InContainer<'_>>> = archives
                    .iter()
                    .map(|promise| Upload {
                        package: &promise.package,
                        file: &promise.file,
                        source: InContainer { container, file: &promise.file },
                    })
                    .collect();
                let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
                let sizes = server.publish(&self.workshop.repo_add, repo, arch, &uploads).await;
                let sizes = sizes.map_err(|error| partly(&archives, 0, &error))?;
                for (promise, size) in archives.iter().zip(sizes) {
                    self.published(promise, size);
                }
            }
        }
        Ok(())
    }

    fn published(&self, promise: &Promise, bytes: u64) {
        let package = &promise.package;
        self.record().published.push(Published {
            name: package.name.clone(),
            version: package.version.clone(),
            arch: package.arch.clone(),
            file: promise.file.clone(),
            bytes,
        });
        self.workshop.events.emit(Event::Published { file: promise.file.clone(), bytes });
    }

    /// Checks every file that the build left: that it was promised, is a regular file, and says of itself
    /// what was promised. Returns their sizes.
    async fn verify(&self, container: &Container, promised: &[Promise]) -> StepResult<BTreeMap<String, u64>> {
        let unreadable = |error: std::io::Error| {
            Failure::new(FailureKind::Refused, format!("the built packages cannot be read: {error}"))
        };
        let mut tar = container.get(&format!("{BUILD_HOME}/{PACKAGES}"));
        let mut entries = tar.entries().map_err(unreadable)?;
        let mut found = BTreeMap::new();
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path().map_err(unreadable)?.into_owned();
            let Some(file) = path.strip_prefix(PACKAGES).ok().and_then(|p| p.to_str()) else {
                return Err(refused(format!("{} is not where packages are", path.display())));
            };
            let kind = entry.header().entry_type();
            if file.is_empty() && kind.is_dir() {
                continue;
            }
            if !kind.is_file() {
                return Err(refused(format!("{file} is no regular file")));
            }
            let debug = |file: &str| {
                super::makepkg::parse_package_file(file).is_some_and(|p| p.name.ends_with("-debug"))
            };
            match promised.iter().find(|promise| promise.file == file) {
                Some(promise) => {
                    let size = entry.header().raw_entry_size().map_err(unreadable)?;
                    self.verify_one(promise, entry).await?;
                    found.insert(file.to_owned(), size);
                }
                None if debug(file) && !self.workshop.settings.debug_packages.0 => {}
                None => return Err(refused(format!("nobody promised {file:?}"))),
            }
        }
        let lacking = promised.iter().filter(|p| !p.optional && !found.contains_key(&p.file));
        let lacking: Vec<&str> = lacking.map(|promise| promise.file.as_str()).collect();
        if !lacking.is_empty() {
            return Err(refused(format!("makepkg succeeded but did not leave {}", lacking.join(", "))));
        }
        Ok(found)
    }

    async fn verify_one(
        &self,
        promise: &Promise,
        contents: impl AsyncRead + Send + Unpin + 'static,
    ) -> StepResult<()> {
        let facts = inspect(contents).await;
        let facts = facts.map_err(|why| refused(format!("the archive {} {why}", promise.file)))?;
        if facts.package != promise.package {
            return Err(refused(format!("the archive {} says that it is {}", promise.file, facts.package)));
        }
        Ok(())
    }
}

fn refused(why: String) -> Failure {
    Failure::new(FailureKind::Refused, format!("nothing was published: {why}"))
        .hint("look at what the PKGBUILD does to its packages")
}

/// Says what is on the server and what is not.
fn partly(archives: &[&Promise], done: usize, error: &ServerError) -> Failure {
    let names =
        |part: &[&Promise]| part.iter().map(|promise| promise.file.as_str()).collect::<Vec<_>>().join(", ");
    let lacking = names(&archives[done..]);
    let message = match done {
        0 => format!("{lacking} could not be published: {error}"),
        _ => format!("{} is published, but {lacking} is not: {error}", names(&archives[..done])),
    };
    Failure::new(FailureKind::Publish, message).hint(error.hint())
}
