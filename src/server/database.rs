//! A pacman repository database: a compressed tar with a `desc` file for each package, as repo-add(8)
//! makes it.

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncReadExt, BufReader};
use tokio_tar::Archive;

/// A database larger than this is not read: those of whole distributions have less than a tenth.
const LARGEST: u64 = 512 * 1024 * 1024;

/// One package of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabasePackage {
    /// The package's name.
    pub name: String,
    /// Its full version.
    pub version: String,
    /// The package base it was built from.
    pub base: String,
    /// Its file's name.
    pub file: String,
    /// What else it stands in for: `name` or `name=version`.
    pub provides: Vec<String>,
}

/// What a repository offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Its packages.
    pub packages: Vec<DatabasePackage>,
}

impl Database {
    /// Reads a database in any of the compressions that repo-add knows.
    ///
    /// # Errors
    /// When it is damaged; the message completes "the database".
    pub async fn parse(bytes: &Bytes) -> Result<Self, String> {
        let reader = decompress(std::io::Cursor::new(bytes.clone()))
            .await
            .map_err(|e| format!("cannot be read: {e}"))?;
        let mut archive = Archive::new(reader.take(LARGEST));
        let mut entries = archive.entries().map_err(|e| format!("cannot be read: {e}"))?;
        let mut packages = Vec::new();
        while let Some(entry) = futures_util::StreamExt::next(&mut entries).await {
            let mut entry = entry.map_err(|e| format!("is damaged: {e}"))?;
            let is_desc = entry.path().is_ok_and(|path| path.ends_with("desc"));
            if is_desc {
                let mut text = String::new();
                entry.read_to_string(&mut text).await.map_err(|e| format!("is damaged: {e}"))?;
                packages.push(parse_desc(&text));
            }
        }
        Ok(Self { packages })
    }

    /// The package of this name.
    pub fn find(&self, name: &str) -> Option<&DatabasePackage> {
        self.packages.iter().find(|package| package.name == name)
    }
}

/// Undoes whatever compression the first bytes show. No compression is one of them.
///
/// # Errors
/// When the first bytes cannot be read.
pub async fn decompress<R>(mut reader: R) -> std::io::Result<Box<dyn tokio::io::AsyncRead + Send + Unpin>>
where
    R: AsyncBufRead + Send + Unpin + 'static,
{
    use async_compression::tokio::bufread as codec;
    let mut magic = Vec::with_capacity(6);
    (&mut reader).take(6).read_to_end(&mut magic).await?;
    let start = magic.clone();
    let reader = BufReader::new(std::io::Cursor::new(magic).chain(reader));
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => {
            let mut decoder = codec::GzipDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = codec::ZstdDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let mut decoder = codec::XzDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        [b'B', b'Z', b'h', ..] => {
            let mut decoder = codec::BzDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        _ => Box::new(reader),
    })
}

/// Reads the fields that matter here: `%NAME%`, then a value a line, then an empty line.
fn parse_desc(text: &str) -> DatabasePackage {
    let mut package = DatabasePackage::default();
    let mut field = "";
    for line in text.lines() {
        match (line, field) {
            ("", _) => field = "",
            (_, "") => field = line,
            (value, "%NAME%") => package.name = value.to_owned(),
            (value, "%VERSION%") => package.version = value.to_owned(),
            (value, "%BASE%") => package.base = value.to_owned(),
            (value, "%FILENAME%") => package.file = value.to_owned(),
            (value, "%PROVIDES%") => package.provides.push(value.to_owned()),
            _ => {}
        }
    }
    if package.base.is_empty() {
        package.base.clone_from(&package.name);
    }
    package
}
