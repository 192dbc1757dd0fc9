//! Looking up, downloading and uploading: the parts both generations have in common.

use std::fs::File;
use std::io::{self, Write};

use tempfile::NamedTempFile;

use super::archive::Archive;
use super::repository::{Found, describe};
use super::shared::Shared;
use crate::http::{Content, Request};

/// `/<repo>/<arch>/<file>` in three; `None` for any other path.
pub(super) fn split_path(path: &str) -> Option<(&str, &str, &str)> {
    let (repo, rest) = path.strip_prefix('/')?.split_once('/')?;
    let (arch, file) = rest.split_once('/')?;
    (!file.contains('/')).then_some((repo, arch, file))
}

/// The content behind a path, if there is any.
pub(super) fn look_up(shared: &Shared, path: &str) -> Option<Content> {
    let (repo, arch, file) = split_path(path)?;
    match shared.state().repositories.find(repo, arch, file).ok()?? {
        Found::Bytes(bytes) => Some(Content::Bytes(bytes)),
        Found::File(path) => {
            let file = File::open(path).ok()?;
            let length = file.metadata().ok()?.len();
            Some(Content::File(file, length))
        }
    }
}

/// What became of an upload.
pub(super) enum Published {
    /// It is in (or was lost on purpose).
    Added { name: String, version: String, arches: Vec<String> },
    /// There is no `Content-Length`.
    NoLength,
    /// The very same file is there already, and the server was told to mind.
    Duplicate,
    /// It is no archive, a truncated one, or the body was too short for this server.
    Refused,
}

/// Receives `POST /<repo>/publish`.
pub(super) fn publish(shared: &Shared, repo: &str, request: &mut Request) -> Published {
    let Some(announced) = request.content_length() else {
        return Published::NoLength;
    };
    match receive(shared, request) {
        Ok((_, length)) if length < announced && !shared.generation.takes_short_bodies() => {
            Published::Refused
        }
        Ok((upload, _)) => add(shared, repo, upload).unwrap_or(Published::Refused),
        Err(_) => Published::Refused,
    }
}

fn receive(shared: &Shared, request: &mut Request) -> io::Result<(NamedTempFile, u64)> {
    let dir = shared.state().repositories.dir().to_path_buf();
    let mut upload = NamedTempFile::new_in(dir)?;
    let length = request.copy_body(upload.as_file_mut())?;
    Ok((upload, length))
}

/// Takes an archive in that did not come over the network.
pub(super) fn store(shared: &Shared, repo: &str, archive: &[u8]) -> io::Result<()> {
    let dir = shared.state().repositories.dir().to_path_buf();
    let mut upload = NamedTempFile::new_in(dir)?;
    upload.write_all(archive)?;
    add(shared, repo, upload).map(drop)
}

fn add(shared: &Shared, repo: &str, mut upload: NamedTempFile) -> io::Result<Published> {
    let archive = Archive::read(upload.as_file_mut())?;
    let desc = describe(&archive, upload.as_file())?;
    let mut state = shared.state();
    if state.duplicates_refused && state.repositories.has_file(repo, &archive.file_name()) {
        return Ok(Published::Duplicate);
    }
    let arches = state.repositories.arches_of(repo, archive.first("arch"));
    if state.uploads_to_lose > 0 {
        state.uploads_to_lose -= 1;
    } else {
        state.repositories.add(repo, &archive, desc, upload)?;
    }
    let (name, version) = (archive.first("pkgname").to_string(), archive.first("pkgver").to_string());
    Ok(Published::Added { name, version, arches })
}
