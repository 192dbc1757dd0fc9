//! What was learnt of Git repositories in earlier runs, by commit: an unchanged one needs no fetch.
//!
//! Nothing rests on it. A file that is missing, damaged or of another version is passed over, and what a
//! commit contains never changes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::GitUrl;
use super::git::PackageFiles;

/// Changes whenever the form of the files does.
const VERSION: u32 = 1;

/// The files of one commit, by folder.
pub type Folders = BTreeMap<String, PackageFiles>;

/// A directory with one file for each repository and branch.
#[derive(Debug, Clone)]
pub struct GitCache {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    version: u32,
    commit: String,
    folders: Folders,
}

impl GitCache {
    /// The cache in a directory, which is made when it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path) -> std::io::Result<Self> {
        let directory = directory.join("git");
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    fn file(&self, url: &GitUrl, branch: Option<&str>) -> PathBuf {
        let name = format!("{}\0{}", url.expose(), branch.unwrap_or_default());
        self.directory.join(hex(&Sha256::digest(name.as_bytes())))
    }

    /// What is remembered of a commit.
    pub fn load(&self, url: &GitUrl, branch: Option<&str>, commit: &str) -> Option<Folders> {
        let text = std::fs::read(self.file(url, branch)).ok()?;
        let (digest, json) = text.split_at_checked(64)?;
        if digest != hex(&Sha256::digest(json)).as_bytes() {
            return None;
        }
        let remembered: Remembered = serde_json::from_slice(json).ok()?;
        let usable = remembered.version == VERSION && remembered.commit == commit;
        usable.then_some(remembered.folders)
    }

    /// Remembers the files of a commit instead of those of an earlier one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store(
        &self,
        url: &GitUrl,
        branch: Option<&str>,
        commit: &str,
        folders: Folders,
    ) -> std::io::Result<()> {
        let remembered = Remembered { version: VERSION, commit: commit.to_owned(), folders };
        let json = serde_json::to_vec(&remembered)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(hex(&Sha256::digest(&json)).as_bytes())?;
        file.write_all(&json)?;
        file.persist(self.file(url, branch))?;
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
