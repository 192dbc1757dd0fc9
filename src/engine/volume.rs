//! Named volumes: made with our labels, listed by them, removed.

use std::collections::HashMap;

use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use jiff::Timestamp;

use super::{Engine, EngineError, failed, labels};

/// A volume that keeps the sources of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceVolume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub(super) labels: HashMap<String, String>,
    /// When it was made, where the daemon said so.
    pub created: Option<Timestamp>,
}

impl SourceVolume {
    /// One for an entry, in one of several set-ups on the daemon.
    pub fn new(name: String, set_up: &str, entry: &str) -> Self {
        let labels = [(labels::ROLE, labels::SOURCES), (labels::NAME, set_up), (labels::ENTRY, entry)];
        Self {
            name,
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            created: None,
        }
    }

    /// Whether it belongs to a set-up.
    pub fn is_of(&self, set_up: &str) -> bool {
        self.labels.get(labels::NAME).is_some_and(|name| name == set_up)
    }
}

impl Engine {
    /// Makes a volume of sources, unless it is there.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn ensure_source_volume(&self, volume: SourceVolume) -> Result<(), EngineError> {
        let SourceVolume { name, labels, .. } = volume;
        let what = failed(format!("make the volume {name}"));
        let request = VolumeCreateRequest { name: Some(name), labels: Some(labels), ..Default::default() };
        self.docker.create_volume(request).await.map(drop).map_err(what)
    }

    /// All volumes of sources, of whichever set-up.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn source_volumes(&self) -> Result<Vec<SourceVolume>, EngineError> {
        let wanted = format!("{}={}", labels::ROLE, labels::SOURCES);
        let filters = HashMap::from([("label".to_owned(), vec![wanted])]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker.list_volumes(Some(options)).await.map_err(failed("list volumes"))?;
        let volumes = listed.volumes.unwrap_or_default().into_iter();
        let read = |volume: Volume| SourceVolume {
            name: volume.name,
            labels: volume.labels,
            created: volume.created_at.and_then(|time| time.parse().ok()),
        };
        Ok(volumes.map(read).collect())
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
