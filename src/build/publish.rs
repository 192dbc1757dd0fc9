//! Step 5: check what the build left, and send it to the package server.

use anyhow::{Context as _, ensure};
use futures_util::StreamExt;
use tokio::io::AsyncRead;

use super::StepResult;
use super::archive::inspect;
use super::check::Promises;
use super::makepkg;
use super::session::{Session, engine_failure};
use crate::engine::Container;
use crate::event::Event;
use crate::image::{BUILD_HOME, PACKAGES};
use crate::outcome::{Failure, FailureKind, Published};
use crate::server::directory::Upload;
use crate::server::{Contents, PackageId, PackageServer, ServerError, Source};

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

/// A package that the build left, checked.
struct Archive {
    package: PackageId,
    file: String,
}

impl Session<'_> {
    pub async fn publish_step(&self, promises: &Promises) -> StepResult<()> {
        let container = self.container().await?;
        // Nothing can change any more: what is checked is what is sent.
        container.kill().await.map_err(engine_failure)?;
        let archives = self.verify(container, promises).await?;
        let (repo, arch) = (&self.task.entry.repo, &self.workshop.engine.info.arch);
        match &*self.workshop.server {
            PackageServer::Vieter(server) => {
                for (done, archive) in archives.iter().enumerate() {
                    let source = InContainer { container, file: &archive.file };
                    match server.publish(repo, arch, &archive.package, &source).await {
                        Ok(size) => self.published(archive, size),
                        Err(error) => return Err(partly(&archives, done, &error)),
                    }
                }
            }
            PackageServer::Directory(server) => {
                let uploads: Vec<_> = archives
                    .iter()
                    .map(|Archive { package, file }| Upload {
                        package,
                        file,
                        source: InContainer { container, file },
                    })
                    .collect();
                let sizes = server.publish(&self.workshop.repo_add, repo, arch, &uploads).await;
                let sizes = sizes.map_err(|error| partly(&archives, 0, &error))?;
                for (archive, size) in archives.iter().zip(sizes) {
                    self.published(archive, size);
                }
            }
        }
        Ok(())
    }

    fn published(&self, archive: &Archive, bytes: u64) {
        let PackageId { name, version, arch } = archive.package.clone();
        let file = archive.file.clone();
        self.record().published.push(Published { name, version, arch, file: file.clone(), bytes });
        self.workshop.events.emit(Event::Published { file, bytes });
    }

    /// Checks every file that the build left: that it was promised, is a regular file, and says of itself
    /// what was promised.
    async fn verify(&self, container: &Container, promises: &Promises) -> StepResult<Vec<Archive>> {
        let unreadable = |error: std::io::Error| {
            Failure::new(FailureKind::Refused, format!("the built packages cannot be read: {error}"))
        };
        let mut tar = container.get(&format!("{BUILD_HOME}/{PACKAGES}"));
        let mut entries = tar.entries().map_err(unreadable)?;
        let mut found: Vec<Archive> = Vec::new();
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path().map_err(unreadable)?.into_owned();
            let Some(file) = path.strip_prefix(PACKAGES).ok().and_then(|path| path.to_str()) else {
                return Err(refused(format!("{} is not where packages are", path.display())));
            };
            let kind = entry.header().entry_type();
            if file.is_empty() && kind.is_dir() {
                continue;
            }
            if !kind.is_file() {
                return Err(refused(format!("{file} is no regular file")));
            }
            match self.judge(file, promises)? {
                Some(package) if found.iter().any(|archive| archive.package == package) => {
                    return Err(refused(format!("there are two archives of {package}")));
                }
                Some(package) => {
                    verify_one(file, &package, entry).await?;
                    found.push(Archive { package, file: file.to_owned() });
                }
                None => {}
            }
        }
        let lacking = promises.packages.iter().filter(|p| !found.iter().any(|a| a.package == **p));
        let lacking: Vec<String> = lacking.map(ToString::to_string).collect();
        if !lacking.is_empty() {
            return Err(refused(format!("makepkg succeeded but did not leave {}", lacking.join(", "))));
        }
        Ok(found)
    }

    /// Which package a file is by its name; none for debug packages that nobody wants.
    fn judge(&self, file: &str, promises: &Promises) -> StepResult<Option<PackageId>> {
        let package = makepkg::parse_package_file(file)
            .ok_or_else(|| refused(format!("{file:?} is no name of a package's archive")))?;
        if promises.packages.contains(&package) {
            return Ok(Some(package));
        }
        // makepkg adds it to the packages of the PKGBUILD when its options say `debug`.
        let is_debug = package.name == format!("{}-debug", promises.pkgbase)
            && promises.packages.iter().any(|promised| promised.version == package.version);
        match (is_debug, self.workshop.settings.debug_packages.0) {
            (true, true) => Ok(Some(package)),
            (true, false) => Ok(None),
            (false, _) => Err(refused(format!("nobody promised {file:?}"))),
        }
    }
}

async fn verify_one(
    file: &str,
    promised: &PackageId,
    contents: impl AsyncRead + Send + Unpin + 'static,
) -> StepResult<()> {
    let facts = inspect(contents).await;
    let facts = facts.map_err(|why| refused(format!("the archive {file} {why}")))?;
    if facts.package != *promised {
        return Err(refused(format!("the archive {file} says that it is {}", facts.package)));
    }
    Ok(())
}

fn refused(why: String) -> Failure {
    Failure::new(FailureKind::Refused, format!("nothing was published: {why}"))
        .hint("look at what the PKGBUILD does to its packages")
}

/// Says what is on the server and what is not.
fn partly(archives: &[Archive], done: usize, error: &ServerError) -> Failure {
    let names =
        |part: &[Archive]| part.iter().map(|archive| archive.file.as_str()).collect::<Vec<_>>().join(", ");
    let lacking = names(&archives[done..]);
    let message = match done {
        0 => format!("{lacking} could not be published: {error}"),
        _ => format!("{} is published, but {lacking} is not: {error}", names(&archives[..done])),
    };
    Failure::new(FailureKind::Publish, message).hint(error.hint())
}
