//! Sources that are kept from night to night: a volume for each entry that must be looked into, so that the
//! history of a `-git` package is fetched once and then only what is new. No entry ever sees another's.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::catalog::Entry;
use crate::config::Build as Settings;
use crate::engine::{ContainerSpec, Engine, EngineError, Exec, Isolation, Limits, SourceVolume};
use crate::image::BuilderImages;

/// Touched in a volume whenever it is used.
pub const MARKER: &str = ".last-used";

/// The volume of an entry, in one of several set-ups on the daemon.
pub fn volume_of(entry: &Entry, set_up: &str) -> SourceVolume {
    let title = entry.to_string();
    let key = format!("{set_up}\0{}\0{title}\0{}", entry.url.expose(), entry.repo);
    let digest = Sha256::digest(key.as_bytes());
    let short: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    SourceVolume::new(format!("vieter-sources-{short}"), set_up, &title)
}

/// What is known of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    volume: SourceVolume,
    /// Whether it is of this set-up.
    is_ours: bool,
    unused_for: Duration,
    bytes: u64,
}

/// Removes those of the volumes that nobody has used for too long, then the longest unused ones of this set-up until
/// the rest fits. The volumes are to be listed before the first build: Podman gives a new volume to the user of the
/// container that is the first to have it, and that must be a build.
///
/// # Errors
/// When Docker fails. A volume that is in use elsewhere is left alone.
pub async fn prune(
    mut volumes: Vec<SourceVolume>,
    engine: &Engine,
    images: &BuilderImages,
    settings: &Settings,
) -> Result<usize, EngineError> {
    let max_age = settings.source_cache_max_age.0;
    let (set_up, now) = (images.set_up(), Timestamp::now());
    // Another set-up's that is younger than that cannot be too old.
    let may_be_old = |made: Timestamp| now.duration_since(made).unsigned_abs() > max_age;
    volumes.retain(|volume| volume.is_of(&set_up) || volume.created.is_none_or(may_be_old));
    if volumes.is_empty() {
        return Ok(0);
    }
    let kept = measure(images, volumes).await?;
    let mut removed = 0;
    for volume in surplus(kept, settings.source_cache.0, max_age) {
        match engine.remove_volume(&volume.name).await {
            Ok(()) => removed += 1,
            Err(error) => tracing::debug!(%error, "kept sources are in use"),
        }
    }
    Ok(removed)
}

/// The volumes to remove: too old, or too much. Pure.
fn surplus(mut kept: Vec<Kept>, room: u64, max_age: Duration) -> Vec<SourceVolume> {
    kept.sort_by_key(|kept| kept.unused_for);
    let mut used = 0_u64;
    let mut surplus = Vec::new();
    for Kept { volume, is_ours, unused_for, bytes } in kept {
        let fits = !is_ours || bytes <= room.saturating_sub(used);
        if unused_for > max_age || !fits {
            surplus.push(volume);
        } else if is_ours {
            used += bytes;
        }
    }
    surplus
}

/// Asks a container of our own for the size of each volume and when it was last used. One that cannot be counted in a
/// minute is as large as can be. One without a marker was never used, and counts from when it was made.
async fn measure(images: &BuilderImages, volumes: Vec<SourceVolume>) -> Result<Vec<Kept>, EngineError> {
    let places = volumes.iter().cloned().enumerate();
    let spec = ContainerSpec {
        image: String::new(),
        role: "sources",
        lifetime: Duration::from_secs(600),
        limits: Limits { pids: 64, nofile: 1024, ..Limits::default() },
        isolation: Isolation::Hostile,
        network: Some("none".into()),
        volumes: places.map(|(number, volume)| (volume, format!("/sources/{number}"))).collect(),
    };
    let script = format!(
        "now=$(date +%s)\n\
         for place in /sources/*; do\n\
         size=$(timeout 60 du -sk \"$place\"); [ $? != 124 ] || size={TOO_LARGE}\n\
         used=$(stat -c %Y \"$place/{MARKER}\" 2>/dev/null || stat -c %Y \"$place\")\n\
         echo \"${{place##*/}} $((now - used)) ${{size%%[!0-9]*}}\"\n\
         done"
    );
    let container = images.start(spec).await?;
    let command = ["/bin/sh", "-c", &script];
    let exec = Exec { user: "0:0", command: &command, env: &[], directory: "/", idle: None, capture: true };
    let ran = container.exec(exec, |_| ()).await;
    container.remove().await?;
    let set_up = images.set_up();
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let number: usize = words.next()?.parse().ok()?;
        // PKGBUILD code owns the marker, and may say that it was touched in the future.
        let unused_for = Duration::from_secs(words.next()?.parse::<i64>().ok()?.max(0).unsigned_abs());
        let bytes = words.next()?.parse::<u64>().ok()?.saturating_mul(1024);
        let volume = volumes.get(number)?.clone();
        Some(Kept { is_ours: volume.is_of(&set_up), volume, unused_for, bytes })
    };
    Ok(ran?.output.lines().filter_map(parse).collect())
}

/// The size, in KiB, of a volume whose size is not known.
const TOO_LARGE: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, days: u64, bytes: u64) -> Kept {
        let volume = SourceVolume::new(name.into(), "ours", "entry");
        Kept { volume, is_ours: true, unused_for: Duration::from_secs(days * 86_400), bytes }
    }

    fn names(volumes: Vec<SourceVolume>) -> Vec<String> {
        volumes.into_iter().map(|volume| volume.name).collect()
    }

    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    #[test]
    fn what_is_unused_for_too_long_goes_however_small() {
        let all = vec![kept("old", 31, 1), kept("new", 1, 1)];
        assert_eq!(names(surplus(all, 100, MONTH)), ["old"]);
    }

    #[test]
    fn the_longest_unused_go_until_the_rest_fits() {
        let all = vec![kept("a", 1, 40), kept("b", 3, 40), kept("c", 2, 40), kept("d", 4, 20)];
        assert_eq!(names(surplus(all, 100, MONTH)), ["b"], "d is small enough to stay");
    }

    #[test]
    fn one_that_is_larger_than_the_room_goes_and_the_others_stay() {
        let all = vec![kept("huge", 0, u64::MAX), kept("a", 1, 40)];
        assert_eq!(names(surplus(all, 100, MONTH)), ["huge"]);
    }

    #[test]
    fn another_set_up_loses_only_what_is_too_old() {
        let theirs = |name: &str, days| Kept { is_ours: false, ..kept(name, days, 1000) };
        let all = vec![theirs("young", 1), theirs("old", 31), kept("a", 2, 40)];
        assert_eq!(names(surplus(all, 100, MONTH)), ["old"]);
    }
}
