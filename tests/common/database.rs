//! Pacman repositories on disk, read with the tools of this machine.

use std::path::Path;
use std::process::Command;

/// One package of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its full version.
    pub version: String,
    /// The name of its file.
    pub file: String,
}

/// The packages of `<root>/<repo>/<arch>/<repo>.db`, sorted by name; none when there is no database.
///
/// Fails when the database is damaged.
pub fn read(root: &Path, repo: &str, arch: &str) -> Vec<Package> {
    let path = root.join(repo).join(arch).join(format!("{repo}.db"));
    match std::fs::read(&path) {
        Ok(_) => parse(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display())),
        Err(_) => Vec::new(),
    }
}

/// The packages of a database file, sorted by name.
pub fn parse(path: &Path) -> Result<Vec<Package>, String> {
    let tar = Command::new("tar").arg("-xOzf").arg(path).args(["--wildcards", "*/desc"]).output();
    let tar = tar.map_err(|error| format!("run tar: {error}"))?;
    if !tar.status.success() {
        return Err(format!("it is damaged: {}", String::from_utf8_lossy(&tar.stderr)));
    }
    let text = String::from_utf8(tar.stdout).map_err(|error| error.to_string())?;
    let values = |key: &str| -> Vec<String> {
        let mut lines = text.lines();
        std::iter::from_fn(|| lines.find(|line| *line == key).and_then(|_| lines.next().map(str::to_owned)))
            .collect()
    };
    let (names, versions, files) = (values("%NAME%"), values("%VERSION%"), values("%FILENAME%"));
    if names.len() != versions.len() || names.len() != files.len() || names.is_empty() {
        return Err(format!("it makes no sense: {text}"));
    }
    let mut packages: Vec<Package> = names
        .into_iter()
        .zip(versions)
        .zip(files)
        .map(|((name, version), file)| Package { name, version, file })
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}
