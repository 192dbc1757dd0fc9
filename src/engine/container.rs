//! Containers: made, run for a limited time, stopped, committed, removed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{
    ContainerConfig, ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, ResourcesUlimits,
};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::volume::SourceVolume;
use super::{Engine, EngineError, failed, labels};

/// What the processes of a container may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Bytes of memory, swap included.
    pub memory: Option<u64>,
    /// Processors, in 10^-9 of one.
    pub nano_cpus: Option<i64>,
    /// Processes and threads.
    pub pids: i64,
    /// Open files of each process. Without it some daemons allow a billion, and fakeroot, which closes
    /// them all one by one, hangs for minutes.
    pub nofile: i64,
}

/// How far the processes of a container are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Only pacman and our own commands run there: Docker's default capabilities.
    Trusted,
    /// Code from PKGBUILDs runs there: only the capabilities that pacman needs.
    Hostile,
}

/// What pacman needs to unpack packages and to run their scriptlets as root. The build user has none of
/// these.
const PACMAN_CAPABILITIES: &[&str] =
    &["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT"];

/// A container to be made.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// The image's name or id.
    pub image: String,
    /// What it is for (label).
    pub role: &'static str,
    /// When it ends by itself, counted from its start.
    pub lifetime: Duration,
    /// What it may use.
    pub limits: Limits,
    /// How far it is trusted.
    pub isolation: Isolation,
    /// The network, or Docker's default.
    pub network: Option<String>,
    /// Volumes of sources, and where they are mounted.
    pub volumes: Vec<(SourceVolume, String)>,
}

/// A running container of this run. Remove it with [`Container::remove`]; what is left when the run
/// ends goes with [`Engine::remove_all`].
pub struct Container {
    pub(super) engine: Arc<Engine>,
    pub(super) id: String,
}

impl Engine {
    /// Makes and starts a container whose first process does nothing but end at the deadline, so that it
    /// ends by itself also when this program has been killed.
    ///
    /// # Errors
    /// When the daemon cannot make or start it; nothing is left behind then.
    pub async fn start(self: &Arc<Self>, spec: &ContainerSpec) -> Result<Container, EngineError> {
        // Not to be stopped half-way: the daemon would make a container of which nobody knows.
        let (sender, made) = oneshot::channel();
        let (engine, spec) = (Arc::clone(self), spec.clone());
        self.background().spawn(async move {
            // Nobody waits for it any more when the run is being stopped; then it goes with the others.
            let _ = sender.send(engine.make(&spec).await);
        });
        made.await.unwrap_or_else(|_| {
            Err(EngineError::Failed {
                what: "make a container".into(),
                why: "the run is being stopped".into(),
                status: None,
            })
        })
    }

    async fn make(self: &Arc<Self>, spec: &ContainerSpec) -> Result<Container, EngineError> {
        let body = create_body(spec, &self.run_id);
        let created = self
            .docker
            .create_container(None, body)
            .await
            .map_err(failed(format!("make a {} container of {}", spec.role, spec.image)))?;
        self.live().insert(created.id.clone());
        let container = Container { engine: Arc::clone(self), id: created.id };
        let started = self.docker.start_container(&container.id, None).await;
        if let Err(error) = started {
            let _ = self.remove_container(&container.id).await;
            return Err(failed(format!("start a {} container of {}", spec.role, spec.image))(error));
        }
        Ok(container)
    }

    pub(super) async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.docker.remove_container(id, Some(options)).await;
        match removed.map_err(failed(format!("remove container {}", short(id)))) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => {
                self.live().remove(id);
                Ok(())
            }
        }
    }

    /// Removes containers that earlier runs left: ours by their labels, and past their deadline.
    ///
    /// # Errors
    /// When the daemon does not list or remove them.
    pub async fn remove_expired(&self, now: Timestamp) -> Result<usize, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![labels::DEADLINE.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers =
            self.docker.list_containers(Some(options)).await.map_err(failed("list containers"))?;
        let mut removed = 0;
        for container in containers {
            let labels = container.labels.unwrap_or_default();
            let deadline = labels.get(labels::DEADLINE).and_then(|d| d.parse::<i64>().ok());
            if let (Some(id), Some(deadline)) = (container.id, deadline)
                && deadline < now.as_second()
            {
                self.remove_container(&id).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The first characters of an id, as the `docker` command shows it.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Time between the end of a container's first process and the moment from which anybody may remove it.
const GRACE: i64 = 60;

fn create_body(spec: &ContainerSpec, run_id: &str) -> ContainerCreateBody {
    let seconds = spec.lifetime.as_secs().max(1);
    let deadline = Timestamp::now().as_second() + i64::try_from(seconds).unwrap_or(i64::MAX / 2) + GRACE;
    let labels = HashMap::from([
        (labels::RUN.to_owned(), run_id.to_owned()),
        (labels::ROLE.to_owned(), spec.role.to_owned()),
        (labels::DEADLINE.to_owned(), deadline.to_string()),
    ]);
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        // A shell that waits also reaps the processes that builds leave behind.
        entrypoint: Some(vec!["/bin/sh".into(), "-c".into(), "sleep \"$0\" & wait".into()]),
        cmd: Some(vec![seconds.to_string()]),
        user: Some("0:0".into()),
        working_dir: Some("/".into()),
        hostname: Some("builder".into()),
        labels: Some(labels),
        host_config: Some(host_config(spec)),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let memory = spec.limits.memory.and_then(|m| i64::try_from(m).ok());
    let hostile = spec.isolation == Isolation::Hostile;
    let mounts = spec.volumes.iter().map(|(volume, target)| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.name.clone()),
        target: Some(target.clone()),
        // Another run may have removed it meanwhile; Docker makes it anew, and it is to be found again.
        volume_options: Some(MountVolumeOptions {
            labels: Some(volume.labels.clone()),
            ..Default::default()
        }),
        ..Default::default()
    });
    HostConfig {
        memory,
        // Equal to the memory limit: no swap on top of it.
        memory_swap: memory,
        nano_cpus: spec.limits.nano_cpus,
        pids_limit: Some(spec.limits.pids),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".into()),
            soft: Some(spec.limits.nofile),
            hard: Some(spec.limits.nofile),
        }]),
        network_mode: spec.network.clone(),
        mounts: Some(mounts.collect()),
        // For root's pacman too: Landlock, its download sandbox, can only be applied with it.
        security_opt: Some(vec!["no-new-privileges".into()]),
        cap_drop: hostile.then(|| vec!["ALL".into()]),
        cap_add: hostile.then(|| PACMAN_CAPABILITIES.iter().map(|&cap| cap.to_owned()).collect()),
        ..Default::default()
    }
}

impl Container {
    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Ends all its processes at once. Its files stay.
    ///
    /// # Errors
    /// When the daemon fails; not when it has ended already.
    pub async fn kill(&self) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        let killed = self.engine.docker.kill_container(&self.id, Some(options)).await;
        match killed.map_err(failed(format!("stop container {}", short(&self.id)))) {
            // 409: it is not running any more.
            Err(EngineError::Failed { status: Some(409), .. }) => Ok(()),
            other => other,
        }
    }

    /// Whether the kernel ended processes of it for want of memory.
    pub async fn ran_out_of_memory(&self) -> bool {
        let state = self.engine.docker.inspect_container(&self.id, None).await;
        state.ok().and_then(|c| c.state).and_then(|s| s.oom_killed).unwrap_or(false)
    }

    /// Saves its files as an image with a name and labels.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn commit(
        &self,
        name: &str,
        tag: &str,
        labels: HashMap<String, String>,
    ) -> Result<String, EngineError> {
        let options = CommitContainerOptionsBuilder::default()
            .container(&self.id)
            .repo(name)
            .tag(tag)
            .comment("builder image of vieter")
            // Nothing but the idle first process runs in it, and rootless Podman cannot pause.
            .pause(false);
        // The container's own labels (run, deadline) are not the image's: empty ones take their place.
        let mut all = HashMap::from([
            (labels::RUN.to_owned(), String::new()),
            (labels::DEADLINE.to_owned(), String::new()),
        ]);
        all.extend(labels);
        // Podman takes labels only in this form, Docker in both.
        let changes: Vec<String> =
            all.iter().map(|(name, value)| format!("LABEL {name:?}={value:?}")).collect();
        let options = options.changes(&changes.join("\n")).build();
        let config = ContainerConfig { labels: Some(all), ..Default::default() };
        let committed = self.engine.docker.commit_container(options, config).await;
        Ok(committed.map_err(failed("save the builder image"))?.id)
    }

    /// Removes it, running or not.
    ///
    /// # Errors
    /// When the daemon fails.
    pub async fn remove(&self) -> Result<(), EngineError> {
        self.engine.remove_container(&self.id).await
    }

    /// Removes it without waiting for the end of it; [`Engine::remove_all`] does.
    pub fn discard(&self) {
        let (engine, id) = (Arc::clone(&self.engine), self.id.clone());
        self.engine.background().spawn(async move {
            if let Err(error) = engine.remove_container(&id).await {
                tracing::debug!(%error, "a container is left for the end of the run");
            }
        });
    }
}
