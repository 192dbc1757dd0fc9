//! Files into and out of containers, as streams of tar. Nothing is held in memory whole.

use std::io;
use std::path::Path;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, DuplexStream};
use tokio_tar::{Archive, Builder, EntryType, Header};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{Container, EngineError, failed};

/// A tar stream from a container.
pub type TarReader = Archive<Box<dyn AsyncRead + Send + Unpin>>;

/// How much may be under way between the two ends of a stream.
const BUFFER: usize = 256 * 1024;

/// Writes files into the tar stream that goes to a container. All are owned by one user.
pub struct TarSender {
    builder: Builder<DuplexStream>,
    owner: u64,
    /// The time of all files, in Unix seconds.
    now: u64,
}

impl TarSender {
    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(self.owner);
        header.set_gid(self.owner);
        header.set_mtime(self.now);
        header
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn directory(&mut self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut header = self.header(EntryType::Directory, 0o755, 0);
        self.builder.append_data(&mut header, path, io::Cursor::new([])).await
    }

    /// Adds a file with these contents.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn file(&mut self, path: impl AsRef<Path>, contents: &[u8]) -> io::Result<()> {
        self.stream(path, contents.len() as u64, 0o644, contents).await
    }

    /// Adds a file of known size from a reader.
    ///
    /// # Errors
    /// When either stream breaks or the reader ends early.
    pub async fn stream(
        &mut self,
        path: impl AsRef<Path>,
        size: u64,
        mode: u32,
        contents: impl AsyncRead + Send + Unpin,
    ) -> io::Result<()> {
        let mut header = self.header(EntryType::Regular, mode, size);
        self.builder.append_data(&mut header, path, contents.take(size)).await
    }

    /// Adds a symbolic link, which is not followed.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn symlink(&mut self, path: impl AsRef<Path>, target: &Path) -> io::Result<()> {
        let mut header = self.header(EntryType::Symlink, 0o777, 0);
        header.set_link_name(target)?;
        self.builder.append_data(&mut header, path, io::Cursor::new([])).await
    }

    async fn finish(mut self) -> io::Result<()> {
        self.builder.finish().await
    }
}

impl Container {
    /// Unpacks what `fill` writes below `directory`, owned by the user with the number `owner`.
    ///
    /// # Errors
    /// When the daemon fails, or `fill` does.
    pub async fn put<F>(&self, directory: &str, owner: u64, fill: F) -> Result<(), EngineError>
    where
        F: AsyncFnOnce(&mut TarSender) -> io::Result<()>,
    {
        let (writer, reader) = tokio::io::duplex(BUFFER);
        let mut sender = TarSender { builder: Builder::new(writer), owner, now: unix_now() };
        let options = UploadToContainerOptionsBuilder::default().path(directory).build();
        let body = bollard::body_try_stream(ReaderStream::with_capacity(reader, BUFFER));
        let upload = async {
            let sent = self.engine.docker.upload_to_container(&self.id, Some(options), body).await;
            sent.map_err(failed(format!("put files into {directory} of the container")))
        };
        let write = async {
            let filled = fill(&mut sender).await;
            match filled {
                Ok(()) => sender.finish().await,
                Err(error) => Err(error),
            }
        };
        let (uploaded, written) = tokio::join!(upload, write);
        match (uploaded, written) {
            (Ok(()), Ok(())) => Ok(()),
            // A daemon that refuses the files also breaks the stream: its own words say more.
            (Err(error), _) => Err(error),
            (Ok(()), Err(error)) => Err(EngineError::Failed {
                what: format!("put files into {directory} of the container"),
                why: error.to_string(),
                status: None,
            }),
        }
    }

    /// The contents of the regular file at `path`; none where it is anything else, larger than `most`, or cannot be had.
    pub async fn read(&self, path: &str, most: usize) -> Option<Vec<u8>> {
        let mut entries = self.get(path).entries().ok()?;
        let mut entry = entries.next().await?.ok()?;
        let size = entry.header().raw_entry_size().ok()?;
        if !entry.header().entry_type().is_file() || size > most as u64 {
            return None;
        }
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).await.ok()?;
        (contents.len() as u64 == size).then_some(contents)
    }

    /// The file or directory at `path` as a stream of tar.
    pub fn get(&self, path: &str) -> TarReader {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        // The stream owns a client of its own, so that it does not borrow from the container.
        let docker = self.engine.docker.clone();
        let stream =
            docker.download_from_container(&self.id, Some(options)).map_err(io::Error::other).boxed();
        Archive::new(Box::new(StreamReader::new(stream)))
    }
}

fn unix_now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}
