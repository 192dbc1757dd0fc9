//! A static pacman repository: `<root>/<repo>/<arch>/`, which any web server can serve.
//!
//! At every moment a client sees a consistent repository: packages are in place before the database
//! names them, the database is replaced by one rename, and files that it no longer names go last.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::repo_add::RepoAdd;
use super::{Contents, Database, PackageId, ServerError, Source};

/// A database as last read, with the file's state at that time.
type Cached = ((SystemTime, u64), Arc<Database>);

/// A static repository.
pub struct Directory {
    root: PathBuf,
    databases: Mutex<HashMap<PathBuf, Cached>>,
}

/// One archive to be published.
pub struct Upload<'a, S> {
    /// The package.
    pub package: &'a PackageId,
    /// Its file name.
    pub file: &'a str,
    /// Its contents.
    pub source: S,
}

impl Directory {
    /// The repository below a directory, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root, databases: Mutex::new(HashMap::new()) }
    }

    fn folder(&self, repo: &str, arch: &str) -> PathBuf {
        self.root.join(repo).join(arch)
    }

    /// Whether the database names exactly this package and its file is there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn has(&self, repo: &str, arch: &str, package: &PackageId) -> Result<bool, ServerError> {
        let folder = self.folder(repo, arch);
        let database = self.read(&folder, repo).await?;
        let found = database
            .packages
            .iter()
            .find(|known| known.name == package.name && known.version == package.version);
        Ok(found.is_some_and(|known| folder.join(&known.file).is_file()))
    }

    /// The database as pacman reads it; `None` when nothing was ever published.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn database(&self, repo: &str, arch: &str) -> Result<Option<Bytes>, ServerError> {
        let path = self.folder(repo, arch).join(format!("{repo}.db.tar.gz"));
        match fs::read(&path).await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(trouble("read", &path, &error)),
        }
    }

    /// One package file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn package(&self, repo: &str, arch: &str, file: &str) -> Result<Contents, ServerError> {
        let path = self.folder(repo, arch).join(file);
        let open = async {
            let file = fs::File::open(&path).await?;
            let size = file.metadata().await?.len();
            Ok(Contents { size, reader: Box::new(file) })
        };
        open.await.map_err(|e| trouble("read", &path, &e))
    }

    async fn read(&self, folder: &Path, repo: &str) -> Result<Arc<Database>, ServerError> {
        let path = folder.join(format!("{repo}.db.tar.gz"));
        let state = match fs::metadata(&path).await {
            Ok(metadata) => (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Arc::new(Database::default()));
            }
            Err(error) => return Err(trouble("read", &path, &error)),
        };
        if let Some((known, database)) = self.cache().get(&path)
            && *known == state
        {
            return Ok(Arc::clone(database));
        }
        let bytes: Bytes = fs::read(&path).await.map(Into::into).map_err(|e| trouble("read", &path, &e))?;
        let database = Database::parse(&bytes).await.map_err(|why| ServerError::Directory {
            what: format!("read {}", path.display()),
            why: format!("the database {why}"),
        })?;
        let database = Arc::new(database);
        self.cache().insert(path, (state, Arc::clone(&database)));
        Ok(database)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Cached>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts packages into the repository, all of them or none. Returns their sizes, in order.
    ///
    /// # Errors
    /// When a file cannot be written or repo-add does not take a package; the repository is then as it
    /// was.
    pub async fn publish<S: Source>(
        &self,
        tool: &RepoAdd,
        repo: &str,
        arch: &str,
        uploads: &[Upload<'_, S>],
    ) -> Result<Vec<u64>, ServerError> {
        let folder = self.folder(repo, arch);
        fs::create_dir_all(&folder).await.map_err(|e| trouble("make", &folder, &e))?;
        // Runs for other shards may publish to the same directory.
        let _lock = lock(&self.root).await?;
        let before = self.read(&folder, repo).await?;
        let mut beside = Beside::default();
        let mut sizes = Vec::new();
        let mut packages = Vec::new();
        for upload in uploads {
            let part = beside.file(folder.join(format!(".{}.part", upload.file)));
            sizes.push(receive(&upload.source, &part).await?);
            packages.push((upload.file.to_owned(), part));
        }
        let mut existing = Vec::new();
        for kind in ["db", "files"] {
            let path = folder.join(format!("{repo}.{kind}.tar.gz"));
            if path.is_file() {
                existing.push(path);
            }
        }
        let added = tool.add(repo, &existing, &packages, &folder).await;
        let databases = added.map_err(|e| ServerError::Directory {
            what: format!("add {} to {}", names(uploads), folder.display()),
            why: format!("{e:#}"),
        })?;
        databases.iter().for_each(|path| drop(beside.file(path.clone())));
        for (name, part) in &packages {
            rename(part, &folder.join(name)).await?;
        }
        // The list of files first: a client that sees a package in the database finds its files.
        for (kind, part) in ["db", "files"].into_iter().zip(&databases).rev() {
            let path = folder.join(format!("{repo}.{kind}.tar.gz"));
            rename(part, &path).await?;
            link(&folder, repo, kind).await?;
        }
        let after = self.read(&folder, repo).await?;
        remove_superseded(&folder, &before, &after).await?;
        Ok(sizes)
    }
}

/// Waits for the sole right to change the repositories; it ends when the returned file is closed.
async fn lock(root: &Path) -> Result<std::fs::File, ServerError> {
    let path = root.join(".lock");
    let wait = {
        let path = path.clone();
        move || {
            let file = std::fs::File::create(path)?;
            file.lock()?;
            Ok(file)
        }
    };
    let locked = tokio::task::spawn_blocking(wait).await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
    locked.map_err(|error| trouble("lock", &path, &error))
}

fn names<S>(uploads: &[Upload<'_, S>]) -> String {
    uploads.iter().map(|upload| upload.file).collect::<Vec<_>>().join(", ")
}

/// Writes an archive to a file and makes sure that it is on the disk.
async fn receive(source: &impl Source, path: &Path) -> Result<u64, ServerError> {
    let Contents { size, mut reader } = source.open().await.map_err(|e| ServerError::Directory {
        what: format!("write {}", path.display()),
        why: format!("cannot read the package from the container: {e:#}"),
    })?;
    let write = async {
        let mut file = fs::File::create(path).await?;
        let written = tokio::io::copy(&mut reader, &mut file).await?;
        file.flush().await?;
        file.sync_all().await?;
        if written != size {
            return Err(std::io::Error::other(format!("{written} bytes came instead of {size}")));
        }
        Ok(size)
    };
    write.await.map_err(|e| trouble("write", path, &e))
}

async fn rename(from: &Path, to: &Path) -> Result<(), ServerError> {
    fs::rename(from, to).await.map_err(|e| trouble("put in place", to, &e))
}

/// Makes `<repo>.db` a link to `<repo>.db.tar.gz`, as repo-add does.
async fn link(folder: &Path, repo: &str, kind: &str) -> Result<(), ServerError> {
    let path = folder.join(format!("{repo}.{kind}"));
    let target = format!("{repo}.{kind}.tar.gz");
    if fs::read_link(&path).await.is_ok_and(|existing| existing == Path::new(&target)) {
        return Ok(());
    }
    let part = folder.join(format!(".{repo}.{kind}.part"));
    let _ = fs::remove_file(&part).await;
    fs::symlink(&target, &part).await.map_err(|e| trouble("make", &part, &e))?;
    rename(&part, &path).await
}

/// Removes the files of packages that the database named before and does not name any more.
async fn remove_superseded(folder: &Path, before: &Database, after: &Database) -> Result<(), ServerError> {
    for old in &before.packages {
        let kept = after.packages.iter().any(|package| package.file == old.file);
        if kept || old.file.is_empty() || old.file.contains('/') {
            continue;
        }
        let path = folder.join(&old.file);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(trouble("remove", &path, &error));
            }
            _ => tracing::debug!(file = %path.display(), "removed a superseded package"),
        }
    }
    Ok(())
}

fn trouble(verb: &str, path: &Path, error: &std::io::Error) -> ServerError {
    ServerError::Directory { what: format!("cannot {verb} {}", path.display()), why: error.to_string() }
}

/// Files written beside the real ones: what was not renamed into place is removed in the end.
#[derive(Default)]
struct Beside(Vec<PathBuf>);

impl Beside {
    fn file(&mut self, path: PathBuf) -> PathBuf {
        self.0.push(path.clone());
        path
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
