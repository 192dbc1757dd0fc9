//! Package archives made without makepkg.

use std::io::{Read, Write};

/// How an [`archive`] is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `.pkg.tar.zst`
    Zstd,
    /// `.pkg.tar.gz`
    Gzip,
    /// `.pkg.tar.xz`
    Xz,
    /// `.pkg.tar`
    None,
}

/// A package archive made without makepkg, which pacman can install: one file,
/// `/usr/share/<name>/version`.
pub fn archive(name: &str, version: &str, arch: &str, compression: Compression) -> Vec<u8> {
    let info = format!(
        "# made for a test\npkgname = {name}\npkgbase = {name}\npkgver = {version}\n\
         pkgdesc = The {name} of a test\nurl = https://example.org/\nbuilddate = 1700000000\n\
         packager = A Test <test@example.org>\nsize = {}\narch = {arch}\nlicense = MIT\n",
        version.len() + 1
    );
    let version_file = format!("usr/share/{name}/version");
    let contents = format!("{version}\n");
    compress(&tar_of(&[(".PKGINFO", &info), (&version_file, &contents)]), compression)
}

/// A plain tar of files and their contents.
pub fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, contents.as_bytes()).expect("write to memory");
    }
    tar.into_inner().expect("write to memory")
}

/// Compresses as makepkg would.
pub fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut compressed = Vec::new();
    let done = match compression {
        Compression::None => return bytes.to_vec(),
        Compression::Zstd => zstd::Encoder::new(&mut compressed, 3)
            .map(zstd::Encoder::auto_finish)
            .and_then(|mut encoder| encoder.write_all(bytes)),
        Compression::Gzip => flate2::read::GzEncoder::new(bytes, flate2::Compression::fast())
            .read_to_end(&mut compressed)
            .map(drop),
        Compression::Xz => liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut compressed).map(drop),
    };
    done.expect("compress in memory");
    compressed
}
