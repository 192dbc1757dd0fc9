//! A package archive as it is: what its `.PKGINFO` says, and whether it is whole.

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio_tar::Archive;

use crate::server::PackageId;
use crate::server::database::decompress;

/// A `.PKGINFO` larger than this is none.
const LARGEST_PKGINFO: u64 = 4 * 1024 * 1024;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFacts {
    /// The package.
    pub package: PackageId,
}

/// Reads an archive to its end: its one `.PKGINFO`, and whether the rest can be unpacked.
///
/// # Errors
/// When it is damaged, or has no `.PKGINFO` or several; the message completes "the archive".
pub async fn inspect(reader: impl AsyncRead + Send + Unpin + 'static) -> Result<ArchiveFacts, String> {
    let damaged = |error: std::io::Error| format!("is damaged: {error}");
    let plain = decompress(BufReader::with_capacity(128 * 1024, reader)).await.map_err(damaged)?;
    let mut archive = Archive::new(plain);
    let mut entries = archive.entries().map_err(damaged)?;
    let mut found = None;
    while let Some(entry) = entries.next().await {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path_bytes().map_err(damaged)?;
        let is_pkginfo = path.strip_prefix(b"./").unwrap_or(&path[..]) == b".PKGINFO";
        if !is_pkginfo {
            continue;
        }
        if found.is_some() {
            return Err("has more than one .PKGINFO".into());
        }
        if !entry.header().entry_type().is_file() {
            return Err("has a .PKGINFO that is no file".into());
        }
        let mut text = String::new();
        (&mut entry).take(LARGEST_PKGINFO).read_to_string(&mut text).await.map_err(damaged)?;
        found = Some(parse_pkginfo(&text)?);
    }
    let package = found.ok_or("has no .PKGINFO")?;
    Ok(ArchiveFacts { package })
}

/// Reads the three fields that name a package. The rest is not judged here: packages with a packager of
/// `Unknown Packager`, which strict readers refuse, are what makepkg makes by default.
fn parse_pkginfo(text: &str) -> Result<PackageId, String> {
    let field = |name: &str| {
        let mut values = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned());
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("has a .PKGINFO without {name}")),
            (Some(_), Some(_)) => Err(format!("has a .PKGINFO with more than one {name}")),
        }
    };
    Ok(PackageId { name: field("pkgname")?, version: field("pkgver")?, arch: field("arch")? })
}
