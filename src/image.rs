//! Stage 1: the builder image, made from the base image once and then kept up to date.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::config::{Image as Settings, PullPolicy};
use crate::engine::{
    Container, ContainerSpec, Engine, EngineError, Exec, ImageFacts, Isolation, Limits, labels,
};
use crate::event::{Event, Events};
use crate::outcome::{RunError, RunErrorKind};

/// Name of the build user in the builder image.
pub const BUILD_USER: &str = "builder";
/// The build user's home, below which everything of a build lies.
pub const BUILD_HOME: &str = "/build";

/// The folder of downloaded sources in it.
pub const SOURCES: &str = "sources";
/// The folder of finished packages in it.
pub const PACKAGES: &str = "packages";

/// After this many updates the image is made anew, so that layers do not pile up.
const MOST_UPDATES: u32 = 10;

/// Brings the system up to date and installs what every build needs.
const UPDATE: &str = "\
pacman -Syu --noconfirm --needed base-devel git
rm -rf /var/cache/pacman/pkg/*";

/// Replaces signing keys that are too old to check today's packages. The upgrade that follows at once
/// keeps the system whole.
const RENEW_KEYS: &str = "\
pacman-key --init
pacman-key --populate
pacman -Sy --noconfirm --needed archlinux-keyring";

/// Turns off the download sandbox of pacman 7 (pacman.conf(5), `DisableSandbox`).
const DISABLE_SANDBOX: &str = "sed -i '/^\\[options\\]/a DisableSandbox' /etc/pacman.conf";

/// Makes the build user, without any right beyond its home.
const MAKE_USER: &str = "\
id builder >/dev/null 2>&1 || useradd --create-home --home-dir /build --shell /bin/bash builder
install -d -o builder -g builder /build /build/packages /build/sources
rm -rf /build/.bashrc /build/.bash_profile /build/.bash_logout";

/// The image that build containers are made of.
#[derive(Debug, Clone)]
pub struct BuilderImage {
    /// Its id.
    pub id: String,
    /// The build user's number in it.
    pub uid: u64,
}

/// The builder image of a run, and how to come by it again when somebody removes it meanwhile: another run
/// that brought it up to date, or a `docker image prune`.
pub struct BuilderImages {
    engine: Arc<Engine>,
    settings: Settings,
    network: Option<String>,
    events: Events,
    current: Mutex<BuilderImage>,
}

impl BuilderImages {
    /// Makes the builder image ready: uses the kept one, brings it up to date, or makes it from the base
    /// image.
    ///
    /// # Errors
    /// When there is no base image, Docker fails, or a set-up command fails (with what it printed).
    pub async fn prepare(
        engine: Arc<Engine>,
        settings: Settings,
        network: Option<String>,
        events: Events,
    ) -> Result<Self, RunError> {
        let image = prepare(&engine, &settings, network.as_deref(), &events).await?;
        Ok(Self { engine, settings, network, events, current: Mutex::new(image) })
    }

    fn current(&self) -> BuilderImage {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which of several set-ups on one daemon this is.
    pub fn set_up(&self) -> String {
        image_label(&self.settings)
    }

    /// The build user's number.
    pub fn uid(&self) -> u64 {
        self.current().uid
    }

    /// Starts a container of the builder image; what `spec` says of the image is replaced.
    ///
    /// # Errors
    /// When Docker fails, or the image is gone and cannot be made again.
    pub async fn start(&self, mut spec: ContainerSpec) -> Result<Container, EngineError> {
        spec.image = self.current().id;
        match self.engine.start(&spec).await {
            Err(error) if error.is_not_found() => {
                self.events.warn(format!("{error}; the builder image is made ready again"));
                let network = self.network.as_deref();
                let image = prepare(&self.engine, &self.settings, network, &self.events).await;
                let image = image.map_err(|again| EngineError::Failed {
                    what: "make the builder image again".into(),
                    why: again.to_string(),
                    status: None,
                })?;
                spec.image.clone_from(&image.id);
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = image;
                self.engine.start(&spec).await
            }
            started => started,
        }
    }
}

async fn prepare(
    engine: &Arc<Engine>,
    settings: &Settings,
    network: Option<&str>,
    events: &Events,
) -> Result<BuilderImage, RunError> {
    let started = std::time::Instant::now();
    let stage = Stage { engine, settings, network, events, name: image_label(settings) };
    let limit = settings.image_timeout.limit().unwrap_or(Duration::from_secs(24 * 3600));
    let (image, how) = match tokio::time::timeout(limit, stage.run(limit)).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(RunError::new(
                RunErrorKind::Image,
                format!("the builder image was not ready after {}", humantime::format_duration(limit)),
                "raise VIETER_IMAGE_TIMEOUT, or check the speed of the mirror in the base image",
            ));
        }
    };
    events.emit(Event::ImageReady { image: image.id.clone(), how, duration: started.elapsed() });
    Ok(image)
}

/// What tells the builder images of different set-ups on one daemon apart.
fn image_label(settings: &Settings) -> String {
    format!("{} from {}", settings.image_name, settings.base_image)
}

/// The digest of everything that shapes a builder image but the base image's contents.
fn setup_digest(settings: &Settings) -> String {
    let mut hash = Sha256::new();
    let name = image_label(settings);
    for part in [&name, UPDATE, RENEW_KEYS, DISABLE_SANDBOX, MAKE_USER] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

struct Stage<'a> {
    engine: &'a Arc<Engine>,
    settings: &'a Settings,
    network: Option<&'a str>,
    events: &'a Events,
    name: String,
}

impl Stage<'_> {
    async fn run(&self, limit: Duration) -> Result<(BuilderImage, &'static str), RunError> {
        let digest = setup_digest(self.settings);
        let base_name = &self.settings.base_image;
        let local = self.engine.image(base_name).await.map_err(docker)?;
        let kept = self.kept(&digest).await?;
        let usable = |kept: &&Kept| local.as_ref().is_some_and(|base| kept.base == base.id);
        if let Some(kept) = kept.iter().filter(usable).find(|k| k.age() < self.settings.image_max_age.0) {
            return Ok((kept.image.clone(), "used"));
        }
        let base = self.base_image(local).await?;
        // The newest only: what it is made of may still be there, and has had fewer updates.
        let kept = kept.into_iter().find(|k| k.base == base.id).filter(|k| k.updates < MOST_UPDATES);
        let (from, updates, how) = match &kept {
            Some(kept) => (&kept.image.id, kept.updates + 1, "updated"),
            None => (&base.id, 0, "made"),
        };
        let spec = ContainerSpec {
            image: from.clone(),
            role: "image",
            lifetime: limit + Duration::from_secs(60),
            limits: Limits { pids: 8192, nofile: 16384, ..Limits::default() },
            isolation: Isolation::Trusted,
            network: self.network.map(str::to_owned),
            volumes: Vec::new(),
        };
        let container = self.engine.start(&spec).await.map_err(docker)?;
        let uid = self.set_up(&container).await?;
        let now = Timestamp::now().as_second();
        let labels = HashMap::from([
            (labels::ROLE.to_owned(), "builder-image".to_owned()),
            (labels::NAME.to_owned(), self.name.clone()),
            (labels::SETUP.to_owned(), digest.clone()),
            (labels::BASE.to_owned(), base.id.clone()),
            (labels::UPDATED.to_owned(), now.to_string()),
            (labels::UPDATES.to_owned(), updates.to_string()),
            (labels::UID.to_owned(), uid.to_string()),
        ]);
        let tag = &digest[..12];
        let id = container.commit(&self.settings.image_name, tag, labels).await.map_err(docker)?;
        container.remove().await.map_err(docker)?;
        self.remove_superseded(&id).await;
        Ok((BuilderImage { id, uid }, how))
    }

    /// The builder images of this set-up, the newest first.
    async fn kept(&self, digest: &str) -> Result<Vec<Kept>, RunError> {
        let images = self.engine.builder_images().await.map_err(docker)?;
        let ours = images.iter().filter(|i| i.labels.get(labels::SETUP).is_some_and(|d| d == digest));
        let mut kept: Vec<Kept> = ours.filter_map(Kept::read).collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.updated));
        Ok(kept)
    }

    /// The base image: pulled as the policy says, or the local one with a warning.
    async fn base_image(&self, local: Option<ImageFacts>) -> Result<ImageFacts, RunError> {
        let name = &self.settings.base_image;
        let pull = match self.settings.pull {
            PullPolicy::Always => true,
            PullPolicy::Missing => local.is_none(),
            PullPolicy::Never => false,
        };
        let pulled = if pull { self.pull().await } else { Ok(()) };
        let there = self.engine.image(name).await.map_err(docker)?.or(local);
        match (there, pulled) {
            (Some(image), Ok(())) => Ok(image),
            (Some(image), Err(error)) => {
                self.events.warn(format!("{error}; the local {name} is used instead"));
                Ok(image)
            }
            (None, Err(error)) => Err(RunError::new(
                RunErrorKind::Image,
                format!("{error}, and there is no local one"),
                "check VIETER_BASE_IMAGE and the way to its registry, or `docker load` the image",
            )),
            (None, Ok(())) => Err(RunError::new(
                RunErrorKind::Image,
                format!("there is no image {name} on the Docker daemon"),
                "pull it there, or set VIETER_PULL=missing",
            )),
        }
    }

    async fn pull(&self) -> Result<(), EngineError> {
        let name = &self.settings.base_image;
        let what = format!("pulling {name}");
        self.events.emit(Event::ImageProgress { what: what.clone(), bytes: None });
        let progress = |p: crate::engine::PullProgress| {
            let bytes = Some((p.done, p.total));
            self.events.emit(Event::ImageProgress { what: what.clone(), bytes });
        };
        self.engine.pull(name, progress).await
    }

    /// Runs the set-up in the container, and returns the build user's number.
    async fn set_up(&self, container: &Container) -> Result<u64, RunError> {
        self.update(container).await?;
        self.command(container, "making the build user", MAKE_USER).await?.into_result()?;
        let command = ["id", "-u", BUILD_USER];
        let exec =
            Exec { user: "0:0", command: &command, env: &[], directory: "/", idle: None, capture: true };
        let ran = container.exec(exec, |_| ()).await.map_err(docker)?;
        ran.output.trim().parse().map_err(|_| {
            let message = "the base image's `id -u` gives no number for the build user";
            RunError::new(RunErrorKind::Image, message, "use an Arch Linux base image")
        })
    }

    /// Brings the system up to date, and gets round the two troubles that are known to stand in the way.
    async fn update(&self, container: &Container) -> Result<(), RunError> {
        let what = "bringing the system up to date";
        let mut ran = self.command(container, what, UPDATE).await?;
        // Some versions of pacman go on after this error and some do not.
        if ran.said(&["landlock", "switching to sandbox user"]) {
            self.events.warn(
                "this Docker daemon does not let pacman use its download sandbox (Landlock); it is turned \
                 off in the builder image",
            );
            self.command(container, "turning off the sandbox", DISABLE_SANDBOX).await?.into_result()?;
            if ran.code != 0 {
                ran = self.command(container, what, UPDATE).await?;
            }
        }
        if ran.code != 0 && ran.said(&["PGP signature", "unknown trust", "could not be looked up remotely"]) {
            self.events.warn("the base image's signing keys are out of date; they are renewed");
            self.command(container, "renewing the signing keys", RENEW_KEYS).await?.into_result()?;
            ran = self.command(container, what, UPDATE).await?;
        }
        ran.into_result()
    }

    async fn command(
        &self,
        container: &Container,
        what: &'static str,
        script: &str,
    ) -> Result<Set, RunError> {
        self.events.emit(Event::ImageProgress { what: what.to_owned(), bytes: None });
        let env = ["LC_ALL=C".to_owned()];
        let script = format!("set -e\n{script}");
        let command = ["/bin/sh", "-c", &script];
        let exec =
            Exec { user: "0:0", command: &command, env: &env, directory: "/", idle: None, capture: false };
        let mut lines = Vec::new();
        let ran = container.exec(exec, |line| {
            let line = crate::build::log::printable(line);
            self.events.emit(Event::Output { step: None, line: line.clone() });
            lines.push(line);
        });
        let code = ran.await.map_err(docker)?.code;
        Ok(Set { what, code, lines })
    }

    /// Removes the builder images that this one replaces. One that a container or a younger layer still
    /// needs stays until it is not needed any more.
    async fn remove_superseded(&self, current: &str) {
        let images = self.engine.builder_images().await.unwrap_or_default();
        let superseded = images.iter().filter(|image| {
            plain_id(&image.id) != plain_id(current)
                && image.labels.get(labels::NAME).is_some_and(|name| *name == self.name)
        });
        for image in superseded {
            if let Err(error) = self.engine.remove_image(&image.id).await {
                tracing::debug!(image = image.id, %error, "a superseded builder image is still in use");
            }
        }
    }
}

/// An image's id without the name of its digest, which Podman leaves out in some answers.
fn plain_id(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

/// How a set-up command ended.
struct Set {
    what: &'static str,
    code: i64,
    lines: Vec<String>,
}

impl Set {
    fn said(&self, signs: &[&str]) -> bool {
        self.lines.iter().any(|line| signs.iter().any(|sign| line.contains(sign)))
    }

    fn into_result(self) -> Result<(), RunError> {
        if self.code == 0 {
            return Ok(());
        }
        let from = self.lines.len().saturating_sub(20);
        let message = format!(
            "{} in the builder image failed with exit code {}:\n{}",
            self.what,
            self.code,
            self.lines[from..].join("\n")
        );
        let hint = "check the network of containers and the mirror list of the base image";
        Err(RunError::new(RunErrorKind::Image, message, hint))
    }
}

/// A builder image of an earlier run.
struct Kept {
    image: BuilderImage,
    base: String,
    updated: i64,
    updates: u32,
}

impl Kept {
    fn read(facts: &ImageFacts) -> Option<Self> {
        let label = |name: &str| facts.labels.get(name);
        Some(Self {
            image: BuilderImage { id: facts.id.clone(), uid: label(labels::UID)?.parse().ok()? },
            base: label(labels::BASE)?.clone(),
            updated: label(labels::UPDATED)?.parse().ok()?,
            updates: label(labels::UPDATES)?.parse().ok()?,
        })
    }

    fn age(&self) -> Duration {
        let seconds = Timestamp::now().as_second().saturating_sub(self.updated);
        // A label from the future (a clock that was set back) does not make an image fresh for ever.
        u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs)
    }
}

fn docker(error: EngineError) -> RunError {
    RunError::new(RunErrorKind::Docker, error.to_string(), "look at the Docker daemon's log")
}
