//! The container of an entry. It can be started while the entry before is still worked on, so that nobody waits
//! for Docker.

use std::time::Duration;

use super::{ONE_DAY, Workshop};
use crate::catalog::Entry;
use crate::engine::{Container, ContainerSpec, EngineError, Isolation, Limits, SourceVolume};
use crate::image::{BUILD_HOME, SOURCES};
use crate::sources;

/// A container that nobody has used yet.
pub struct Room {
    /// The volume of kept sources that is in it.
    sources: Option<String>,
    container: Container,
}

impl Room {
    /// The container, if it is one for these sources; any other is removed.
    pub(super) fn for_sources(self, sources: Option<&str>) -> Option<Container> {
        if self.sources.as_deref() == sources {
            return Some(self.container);
        }
        self.discard();
        None
    }

    /// Removes it, in the background.
    pub fn discard(self) {
        self.container.discard();
    }
}

impl Workshop {
    /// Starts a container for an entry that is not due yet. Trouble is nobody's yet: the entry itself will have it.
    pub async fn prepare(&self, entry: &Entry, is_certain: bool) -> Option<Room> {
        let sources = self.sources_of(entry, is_certain);
        let limit = self.settings.build_timeout.limit().unwrap_or(ONE_DAY);
        let started = self.start(entry, sources.clone(), limit).await;
        let container = started.inspect_err(|error| tracing::debug!(%error, "no container ahead")).ok()?;
        Some(Room { sources, container })
    }

    /// Starts the container of an entry. It may wait for so long until it is used.
    pub(super) async fn start(
        &self,
        entry: &Entry,
        sources: Option<String>,
        waits: Duration,
    ) -> Result<Container, EngineError> {
        let mut spec = self.container_spec();
        spec.lifetime += waits;
        if let Some(name) = sources {
            let title = entry.to_string();
            self.engine.ensure_source_volume(&name, &title).await?;
            let target = format!("{BUILD_HOME}/{SOURCES}");
            spec.volumes.push(SourceVolume { name, entry: Some(title), target });
        }
        self.images.start(spec).await
    }

    /// The volume that keeps the sources of an entry: where its version is not certain, they are
    /// needed every night, only to see whether there is something new.
    pub(super) fn sources_of(&self, entry: &Entry, is_certain: bool) -> Option<String> {
        let keeps = !is_certain && self.settings.source_cache.limit().is_some();
        keeps.then(|| sources::volume_name(entry))
    }

    fn container_spec(&self) -> ContainerSpec {
        let settings = &self.settings;
        ContainerSpec {
            image: String::new(),
            role: "build",
            lifetime: settings.build_timeout.limit().unwrap_or(ONE_DAY) + Duration::from_secs(60),
            limits: Limits {
                memory: settings.memory.limit(),
                nano_cpus: settings.cpus.map(crate::config::Cpus::nano),
                pids: settings.pids.0.into(),
                nofile: settings.nofile.0.into(),
            },
            isolation: Isolation::Hostile,
            network: self.network.clone(),
            volumes: Vec::new(),
        }
    }
}
