//! Images: pulled, looked at, listed by our labels, removed.

use std::collections::{BTreeMap, HashMap};

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::StreamExt;

use super::connect::pacman_arch;
use super::{Engine, EngineError, failed, labels};

/// What is known of an image on the daemon.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    /// Its id (`sha256:...`), which names its contents.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is for, in pacman's words, where that is known.
    pub arch: Option<String>,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes downloaded of the layers seen so far.
    pub done: u64,
    /// Bytes of the layers seen so far.
    pub total: u64,
}

impl Engine {
    /// Pulls an image and tells how far it is.
    ///
    /// # Errors
    /// When the registry cannot be reached, does not have it or refuses.
    pub async fn pull(
        &self,
        image: &str,
        mut on_progress: impl FnMut(PullProgress),
    ) -> Result<(), EngineError> {
        let (name, tag) = name_and_tag(image);
        let mut options = CreateImageOptionsBuilder::default().from_image(name);
        if let Some(tag) = tag {
            options = options.tag(tag);
        }
        let credentials: Option<DockerCredentials> = None;
        let mut progress = self.docker.create_image(Some(options.build()), None, credentials);
        let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
        while let Some(step) = progress.next().await {
            let step = step.map_err(failed(format!("pull {image}")))?;
            if let Some(error) = step.error_detail.and_then(|e| e.message) {
                return Err(EngineError::Failed { what: format!("pull {image}"), why: error, status: None });
            }
            let bytes = step.progress_detail.and_then(|p| Some((p.current?, p.total?)));
            if let (Some(layer), Some((done, total)), Some("Downloading")) =
                (step.id, bytes, step.status.as_deref())
            {
                let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
                layers.insert(layer, (unsigned(done), unsigned(total)));
                let (done, total) = layers.values().fold((0, 0), |(d, t), layer| (d + layer.0, t + layer.1));
                on_progress(PullProgress { done, total });
            }
        }
        Ok(())
    }

    /// What is known of an image; `None` when it is not on the daemon.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn image(&self, name: &str) -> Result<Option<ImageFacts>, EngineError> {
        let found = self.docker.inspect_image(name).await;
        match found.map_err(failed(format!("look at image {name}"))) {
            Ok(image) => Ok(Some(ImageFacts {
                id: image.id.unwrap_or_default(),
                labels: image.config.and_then(|c| c.labels).unwrap_or_default().into_iter().collect(),
                arch: image.architecture.filter(|arch| !arch.is_empty()).map(|a| pacman_arch(&a).to_owned()),
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the image's registry for it, without pulling: for which architectures it is there, in pacman's
    /// words; none where the registry does not tell.
    ///
    /// # Errors
    /// When the registry cannot be reached, does not have it or refuses.
    pub async fn architectures_in_registry(&self, image: &str) -> Result<Vec<String>, EngineError> {
        let asked = self.docker.inspect_registry_image(image, None).await;
        let answer = asked.map_err(failed(format!("find {image} in its registry")))?;
        // Signatures and the like count as platforms too, of an unknown system.
        let linux = answer.platforms.into_iter().filter(|p| p.os.as_deref() == Some("linux"));
        let mut architectures: Vec<String> =
            linux.filter_map(|p| Some(pacman_arch(p.architecture?.as_str()).to_owned())).collect();
        architectures.sort();
        architectures.dedup();
        Ok(architectures)
    }

    /// The builder images on the daemon: those that carry our labels, also those that
    /// a younger one is made of.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn builder_images(&self) -> Result<Vec<ImageFacts>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![labels::SETUP.to_owned()])]);
        // All: in containerd's image store one that has lost its tag to the next one is in no other list.
        let options = ListImagesOptionsBuilder::default().all(true).filters(&filters).build();
        let images = self.docker.list_images(Some(options)).await.map_err(failed("list images"))?;
        let facts = |image: bollard::models::ImageSummary| ImageFacts {
            id: image.id,
            labels: image.labels.into_iter().collect(),
            arch: None,
        };
        Ok(images.into_iter().map(facts).collect())
    }

    /// Removes an image that no container uses.
    ///
    /// # Errors
    /// When a container uses it, or the daemon fails; not when it is gone already.
    pub async fn remove_image(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        let removed = self.docker.remove_image(id, Some(options), None).await;
        match removed.map_err(failed(format!("remove image {id}"))) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Splits `registry:5000/name:tag` into the name and the tag, `latest` where there is none: without a tag
/// the daemon would pull every one. A digest (`name@sha256:...`) stays part of the name.
fn name_and_tag(image: &str) -> (&str, Option<&str>) {
    if image.contains('@') {
        return (image, None);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, Some("latest")),
    }
}
