//! Step 1: fetch the files with this machine's Git, and send them into the container.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StepResult;
use super::makepkg;
use super::session::{As, Session, engine_failure};
use crate::catalog::git;
use crate::engine::TarSender;
use crate::image::{BUILD_HOME, SOURCES};
use crate::outcome::{Failure, FailureKind};
use crate::sources::MARKER;

impl Session<'_> {
    /// Returns the folder of the PKGBUILD in the container.
    pub async fn clone_step(&self) -> StepResult<String> {
        let (fetched, container) = tokio::join!(self.fetch(), self.container());
        let (fetched, container) = (fetched?, container?);
        let path = self.task.entry.path.as_deref();
        let tree = fetched.tree(&self.task.entry.url).await?;
        git::package_directory(tree, path)?;
        let files = list_files(tree)
            .map_err(|e| Failure::new(FailureKind::Clone, format!("cannot read the cloned files: {e}")))?;
        let config = makepkg::config(&self.workshop.settings);
        let sent = container.put(BUILD_HOME, self.workshop.images.uid(), async |tar| {
            tar.file(".makepkg.conf", config.as_bytes()).await?;
            if self.keeps_sources() {
                tar.file(format!("{SOURCES}/{MARKER}"), b"").await?;
            }
            send_tree(tar, tree, &files).await
        });
        sent.await.map_err(engine_failure)?;
        let directory = match path {
            Some(path) => format!("{BUILD_HOME}/{TREE}/{path}"),
            None => format!("{BUILD_HOME}/{TREE}"),
        };
        let keys = tree.join(path.unwrap_or_default()).join(KEYS);
        self.import_keys(&keys, &directory).await?;
        Ok(directory)
    }

    /// Lets makepkg know the keys that come with the package, as Arch's own packages bring them: keyservers
    /// are unreliable.
    async fn import_keys(&self, keys: &Path, directory: &str) -> StepResult<()> {
        let names = std::fs::read_dir(keys).into_iter().flatten().flatten().map(|key| key.path());
        let mut files: Vec<String> = names
            .filter(|path| path.extension().is_some_and(|extension| extension == "asc") && path.is_file())
            .filter_map(|path| Some(format!("{KEYS}/{}", path.file_name()?.to_str()?)))
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        files.sort();
        let mut command = vec!["gpg", "--batch", "--import", "--"];
        command.extend(files.iter().map(String::as_str));
        let code = self.run_command("gpg --import", As::Builder, directory, &command).await?;
        if code == 0 {
            return Ok(());
        }
        let message = format!("the keys in {KEYS} cannot be imported: {}", self.last_words());
        Err(Failure::new(FailureKind::Clone, message).hint("correct the keys").exit_code(code))
    }

    /// The files that the plan has seen, or the newest. Where the branch has moved since, nothing is certain any more.
    async fn fetch(&self) -> StepResult<Arc<git::Fetched>> {
        let seen = self.task.seen.as_ref();
        if let Some(fetched) = seen.and_then(|seen| seen.fetched.as_ref()) {
            return Ok(Arc::clone(fetched));
        }
        let fetched = self.workshop.fetches.of(&self.task.entry).await?;
        if seen.is_none_or(|seen| seen.commit != fetched.commit) {
            self.record().facts = None;
        }
        Ok(fetched)
    }
}

/// Where packaging repositories keep the keys of their sources.
const KEYS: &str = "keys/pgp";
/// The folder of the repository in the build user's home.
const TREE: &str = "repository";

/// Everything below a directory, folders before what is in them.
fn list_files(top: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Sends a tree. Links are sent as links, so that nothing outside the tree is ever read.
async fn send_tree(tar: &mut TarSender, top: &Path, files: &[PathBuf]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    tar.directory(TREE).await?;
    for path in files {
        let inside = Path::new(TREE).join(path.strip_prefix(top).unwrap_or(path));
        let metadata = path.symlink_metadata()?;
        if metadata.is_symlink() {
            tar.symlink(&inside, &std::fs::read_link(path)?).await?;
        } else if metadata.is_dir() {
            tar.directory(&inside).await?;
        } else if metadata.is_file() {
            let mode = if metadata.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
            tar.stream(&inside, metadata.len(), mode, tokio::fs::File::open(path).await?).await?;
        }
    }
    Ok(())
}
