//! Entries of kind `url`: one PKGBUILD file over HTTP, without Git.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::GitUrl;
use super::git::{Fetched, LARGEST_FILE};
use crate::outcome::{Failure, FailureKind};

/// Downloads the file and makes a tree of it.
///
/// # Errors
/// When it cannot be had, or is too large.
pub(super) async fn download(url: &GitUrl, limit: Duration) -> Result<Fetched, Failure> {
    let failed = |why: String| {
        let message = format!("cannot download {url}: {}", url.redact(&why));
        Failure::new(FailureKind::Clone, message).hint("check the entry's url")
    };
    let get = async {
        let client = reqwest::Client::builder()
            .user_agent(concat!("vieter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .build()?;
        let mut response = client.get(url.expose()).send().await?.error_for_status()?;
        let mut contents = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            contents.extend_from_slice(&chunk);
            anyhow::ensure!(contents.len() <= LARGEST_FILE, "it is larger than 1 MiB, so it is no PKGBUILD");
        }
        anyhow::Ok(contents)
    };
    let contents = match tokio::time::timeout(limit, get).await {
        Ok(contents) => contents.map_err(|error| failed(format!("{error:#}")))?,
        Err(_) => return Err(failed("no end in time".into())),
    };
    let write = || -> std::io::Result<tempfile::TempDir> {
        let directory = tempfile::Builder::new().prefix("vieter-clone-").tempdir()?;
        std::fs::write(directory.path().join("PKGBUILD"), &contents)?;
        Ok(directory)
    };
    let directory = write().map_err(|error| failed(error.to_string()))?;
    let digest = Sha256::digest(&contents);
    let id = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Fetched::from_directory(directory, id))
}
