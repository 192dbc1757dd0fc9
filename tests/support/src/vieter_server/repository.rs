//! The pacman repositories of a stand-in server: packages on disk, databases made when asked for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::archive::Archive;

/// The keys of a database entry that come from `.PKGINFO` as they are, in pacman's order.
const BEFORE_SIZES: [(&str, &str); 5] = [
    ("NAME", "pkgname"),
    ("BASE", "pkgbase"),
    ("VERSION", "pkgver"),
    ("DESC", "pkgdesc"),
    ("GROUPS", "group"),
];
const AFTER_SIZES: [(&str, &str); 12] = [
    ("URL", "url"),
    ("LICENSE", "license"),
    ("ARCH", "arch"),
    ("BUILDDATE", "builddate"),
    ("PACKAGER", "packager"),
    ("REPLACES", "replaces"),
    ("CONFLICTS", "conflict"),
    ("PROVIDES", "provides"),
    ("DEPENDS", "depend"),
    ("OPTDEPENDS", "optdepend"),
    ("MAKEDEPENDS", "makedepend"),
    ("CHECKDEPENDS", "checkdepend"),
];

/// One package in the database of one architecture.
#[derive(Clone)]
struct Entry {
    version: String,
    file_name: String,
    desc: String,
    files: String,
}

/// What a client gets for a file name of a repository.
pub(super) enum Found {
    /// A package file or a database.
    File(PathBuf),
    /// Something made on the spot.
    Bytes(Vec<u8>),
}

type Packages = BTreeMap<String, Entry>;

/// All repositories of one server.
pub(super) struct Repositories {
    dir: TempDir,
    default_arch: String,
    /// By repository, then architecture, then package name.
    repos: BTreeMap<String, BTreeMap<String, Packages>>,
}

impl Repositories {
    pub fn new(default_arch: &str) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("vieter-stand-in-").tempdir()?;
        let repos = BTreeMap::new();
        Ok(Self { dir, default_arch: default_arch.to_string(), repos })
    }

    /// Where uploads are received.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The architectures a package of `arch` is stored under.
    pub fn arches_of(&self, repo: &str, arch: &str) -> Vec<String> {
        if !matches!(arch, "any" | "") {
            return vec![arch.to_string()];
        }
        let mut arches = vec![self.default_arch.clone()];
        let known = self.repos.get(repo).into_iter().flat_map(BTreeMap::keys);
        arches.extend(known.filter(|arch| **arch != self.default_arch).cloned());
        arches
    }

    /// Puts a package in, in the place of any other version of it.
    pub fn add(
        &mut self,
        repo: &str,
        archive: &Archive,
        desc: String,
        upload: NamedTempFile,
    ) -> io::Result<()> {
        let entry = Entry {
            version: archive.first("pkgver").to_string(),
            file_name: archive.file_name(),
            desc,
            files: format!("%FILES%\n{}\n", archive.files.join("\n")),
        };
        let folder = self.dir.path().join(repo);
        fs::create_dir_all(&folder)?;
        upload.persist(folder.join(&entry.file_name))?;
        self.insert(repo, archive.first("pkgname"), archive.first("arch"), entry);
        Ok(())
    }

    /// Puts an entry in that has no package file: enough for every look-up.
    pub fn pretend(&mut self, repo: &str, arch: &str, name: &str, version: &str) {
        let file_name = format!("{name}-{version}-{arch}.pkg.tar.zst");
        let desc = format!(
            "%FILENAME%\n{file_name}\n\n%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%ARCH%\n{arch}\n\n"
        );
        let files = "%FILES%\n".to_string();
        let entry = Entry { version: version.to_string(), file_name, desc, files };
        self.insert(repo, name, arch, entry);
    }

    fn insert(&mut self, repo: &str, name: &str, arch: &str, entry: Entry) {
        for arch in self.arches_of(repo, arch) {
            let arches = self.repos.entry(repo.to_string()).or_default();
            arches.entry(arch).or_default().insert(name.to_string(), entry.clone());
        }
    }

    /// Takes a package out; false when it was not there.
    pub fn remove(&mut self, repo: &str, arch: &str, name: &str) -> bool {
        let packages = self.repos.get_mut(repo).and_then(|arches| arches.get_mut(arch));
        packages.is_some_and(|packages| packages.remove(name).is_some())
    }

    /// True when exactly this package file name is in the repository.
    pub fn has_file(&self, repo: &str, file_name: &str) -> bool {
        let arches = self.repos.get(repo).into_iter().flat_map(BTreeMap::values);
        arches.flat_map(BTreeMap::values).any(|entry| entry.file_name == file_name)
    }

    /// Names and versions of what is in a repository.
    pub fn packages(&self, repo: &str, arch: &str) -> Vec<(String, String)> {
        let packages = self.repos.get(repo).and_then(|arches| arches.get(arch));
        let pairs = packages.into_iter().flatten();
        pairs.map(|(name, entry)| (name.clone(), entry.version.clone())).collect()
    }

    /// The file behind `/<repo>/<arch>/<file>`.
    pub fn find(&self, repo: &str, arch: &str, file: &str) -> io::Result<Option<Found>> {
        let Some(packages) = self.repos.get(repo).and_then(|arches| arches.get(arch)) else {
            return Ok(None);
        };
        let database = file.strip_prefix(repo).map(|end| end.strip_suffix(".tar.gz").unwrap_or(end));
        match database {
            Some(".db") => return database_of(packages, false).map(|db| Some(Found::Bytes(db))),
            Some(".files") => return database_of(packages, true).map(|db| Some(Found::Bytes(db))),
            _ => {}
        }
        if file.contains(".pkg") {
            let path = self.dir.path().join(repo).join(file);
            let known = packages.values().any(|entry| entry.file_name == file) && path.exists();
            return Ok(known.then_some(Found::File(path)));
        }
        let mut entries = packages.iter();
        let entry = entries.find(|(name, entry)| format!("{name}-{}", entry.version) == file);
        Ok(entry.map(|(_, entry)| Found::Bytes(entry.desc.clone().into_bytes())))
    }
}

/// The `desc` of a package, as pacman's own `repo-add` would write it.
pub(super) fn describe(archive: &Archive, file: &File) -> io::Result<String> {
    let mut desc = format!("%FILENAME%\n{}\n\n", archive.file_name());
    let mut section = |key: &str, values: Vec<&str>| {
        if !values.is_empty() {
            desc.push_str(&format!("%{key}%\n{}\n\n", values.join("\n")));
        }
    };
    for (key, name) in BEFORE_SIZES {
        section(key, archive.all(name).collect());
    }
    section("CSIZE", vec![&file.metadata()?.len().to_string()]);
    section("ISIZE", archive.all("size").collect());
    section("SHA256SUM", vec![&sha256(file)?]);
    for (key, name) in AFTER_SIZES {
        section(key, archive.all(name).collect());
    }
    Ok(desc)
}

fn sha256(mut file: &File) -> io::Result<String> {
    struct Hasher(Sha256);
    impl Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    file.rewind()?;
    let mut hasher = Hasher(Sha256::new());
    io::copy(&mut file, &mut hasher)?;
    Ok(hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A `.db` or, with the file lists, a `.files`.
fn database_of(packages: &Packages, with_files: bool) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, entry) in packages {
        let folder = format!("{name}-{}", entry.version);
        append(&mut tar, &format!("{folder}/desc"), &entry.desc)?;
        if with_files {
            append(&mut tar, &format!("{folder}/files"), &entry.files)?;
        }
    }
    tar.into_inner()?.finish()
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, text: &str) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, text.as_bytes())
}
