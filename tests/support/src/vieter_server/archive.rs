//! Reads a package archive the way a package server does: whole, and for its `.PKGINFO`.

use std::fs::File;
use std::io::{self, Read, Seek};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;

/// What a package archive says about itself.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// The pairs of `.PKGINFO` in their order; empty when the archive has none.
    info: Vec<(String, String)>,
    /// Every path in it that is not one of pacman's own dot files.
    pub files: Vec<String>,
    /// The file name extension that fits its compression.
    pub extension: &'static str,
}

impl Archive {
    /// Reads a whole archive; an error when it is empty, truncated or none at all.
    pub fn read(file: &mut File) -> io::Result<Self> {
        file.rewind()?;
        let mut magic = Vec::new();
        file.take(6).read_to_end(&mut magic)?;
        file.rewind()?;
        let (extension, reader): (_, Box<dyn Read>) = match magic.as_slice() {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => (".pkg.tar.zst", Box::new(zstd::Decoder::new(file)?)),
            [0x1f, 0x8b, ..] => (".pkg.tar.gz", Box::new(MultiGzDecoder::new(file))),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => (".pkg.tar.xz", Box::new(XzDecoder::new(file))),
            _ => (".pkg.tar", Box::new(file)),
        };
        let mut archive = Self { extension, ..Self::default() };
        archive.read_entries(reader)?;
        Ok(archive)
    }

    fn read_entries(&mut self, mut reader: Box<dyn Read + '_>) -> io::Result<()> {
        let mut tar = tar::Archive::new(&mut reader);
        let mut empty = true;
        for entry in tar.entries()? {
            let mut entry = entry?;
            empty = false;
            let path = entry.path()?.to_string_lossy().into_owned();
            if path == ".PKGINFO" {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                self.info = parse(&text);
            } else if !path.starts_with('.') {
                self.files.push(path);
            }
        }
        if empty {
            return Err(io::Error::other("an archive without an entry"));
        }
        io::copy(&mut reader, &mut io::sink())?;
        Ok(())
    }

    /// All values of a `.PKGINFO` key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.info.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The value of a `.PKGINFO` key; empty when it is not there.
    pub fn first(&self, key: &str) -> &str {
        self.info.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    /// `<name>-<version>-<arch>` with the extension.
    pub fn file_name(&self) -> String {
        let (name, version) = (self.first("pkgname"), self.first("pkgver"));
        format!("{name}-{version}-{}{}", self.first("arch"), self.extension)
    }
}

fn parse(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_string(), value.trim().to_string())).collect()
}
