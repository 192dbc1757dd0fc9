//! The container of an entry. It can be started while the entry before is still worked on, so that nobody waits
//! for Docker.

use std::time::Duration;

use super::{ONE_DAY, Workshop, freshen};
use crate::catalog::Entry;
use crate::engine::{Container, ContainerSpec, EngineError, Isolation, Limits, SourceVolume};
use crate::sources;

/// A container that nobody has used yet.
pub struct Room {
    /// The volume of kept sources that is in it.
    sources: Option<SourceVolume>,
    container: Container,
}

impl Room {
    /// The container, if it is one for these sources; any other is removed.
    pub(super) fn for_sources(self, sources: Option<&SourceVolume>) -> Option<Container> {
        if self.sources.as_ref() == sources {
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
        let started = self.start(sources.clone(), limit).await;
        let container = started.inspect_err(|error| tracing::debug!(%error, "no container ahead")).ok()?;
        Some(Room { sources, container })
    }

    /// Starts a container. It may wait for so long until it is used.
    pub(super) async fn start(
        &self,
        sources: Option<SourceVolume>,
        waits: Duration,
    ) -> Result<Container, EngineError> {
        let mut spec = self.container_spec();
        spec.lifetime += waits;
        if let Some(volume) = sources {
            self.engine.ensure_source_volume(volume.clone()).await?;
            spec.volumes.push((volume, freshen::folder()));
        }
        self.images.start(spec).await
    }

    /// The volume that keeps the sources of an entry: where its version is not certain, they are
    /// needed every night, only to see whether there is something new.
    pub(super) fn sources_of(&self, entry: &Entry, is_certain: bool) -> Option<SourceVolume> {
        let keeps = !is_certain && self.settings.source_cache.limit().is_some();
        keeps.then(|| sources::volume_of(entry, &self.images.set_up()))
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
