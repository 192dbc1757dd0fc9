//! Named volumes: made with our labels, listed by them, removed.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use super::{Engine, EngineError, failed, labels};

/// The labels of a volume of sources.
pub(super) fn source_labels(entry: Option<&str>) -> HashMap<String, String> {
    let role = (labels::ROLE.to_owned(), labels::SOURCES.to_owned());
    let entry = entry.map(|entry| (labels::ENTRY.to_owned(), entry.to_owned()));
    std::iter::once(role).chain(entry).collect()
}

impl Engine {
    /// Makes a volume of sources for an entry, unless it is there.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn ensure_source_volume(&self, name: &str, entry: &str) -> Result<(), EngineError> {
        let labels = source_labels(Some(entry));
        let request =
            VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels), ..Default::default() };
        let made = self.docker.create_volume(request).await;
        made.map(drop).map_err(failed(format!("make the volume {name}")))
    }

    /// The names of all volumes of sources.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn source_volumes(&self) -> Result<Vec<String>, EngineError> {
        let wanted = format!("{}={}", labels::ROLE, labels::SOURCES);
        let filters = HashMap::from([("label".to_owned(), vec![wanted])]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker.list_volumes(Some(options)).await.map_err(failed("list volumes"))?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
    }

    /// Removes a volume that no container uses.
    ///
    /// # Errors
    /// When a container uses it, or the daemon fails.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let removed = self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await;
        removed.map_err(failed(format!("remove the volume {name}")))
    }
}
