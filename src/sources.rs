//! Sources that are kept from night to night: a volume for each entry that must be looked into, so that the
//! history of a `-git` package is fetched once and then only what is new. No entry ever sees another's.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::catalog::Entry;
use crate::config::Build as Settings;
use crate::engine::{ContainerSpec, Engine, EngineError, Exec, Isolation, Limits, SourceVolume};
use crate::image::BuilderImages;

/// Touched in a volume whenever it is used.
pub const MARKER: &str = ".last-used";

/// The name of an entry's volume.
pub fn volume_name(entry: &Entry) -> String {
    let key = format!("{}\0{entry}\0{}", entry.url.expose(), entry.repo);
    let digest = Sha256::digest(key.as_bytes());
    let short: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("vieter-sources-{short}")
}

/// What is known of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    name: String,
    unused_for: Duration,
    bytes: u64,
}

/// Removes volumes that nobody has used for too long, then the longest unused ones until the rest fits.
///
/// # Errors
/// When Docker fails. A volume that is in use elsewhere is left alone.
pub async fn prune(
    engine: &Engine,
    images: &BuilderImages,
    settings: &Settings,
) -> Result<usize, EngineError> {
    let names = engine.source_volumes().await?;
    if names.is_empty() {
        return Ok(0);
    }
    let kept = measure(images, names).await?;
    let mut removed = 0;
    for name in surplus(kept, settings.source_cache.0, settings.source_cache_max_age.0) {
        match engine.remove_volume(&name).await {
            Ok(()) => removed += 1,
            Err(error) => tracing::debug!(%error, "kept sources are in use"),
        }
    }
    Ok(removed)
}

/// The volumes to remove: too old, or too much. Pure.
fn surplus(mut kept: Vec<Kept>, room: u64, max_age: Duration) -> Vec<String> {
    kept.sort_by_key(|volume| volume.unused_for);
    let mut used = 0_u64;
    let mut surplus = Vec::new();
    for volume in kept {
        used = used.saturating_add(volume.bytes);
        if volume.unused_for > max_age || used > room {
            used = used.saturating_sub(volume.bytes);
            surplus.push(volume.name);
        }
    }
    surplus
}

/// Asks a container of our own for the size of each volume and when it was last used. A new one, which a build is about
/// to use for the first time, counts from when it was made.
async fn measure(images: &BuilderImages, names: Vec<String>) -> Result<Vec<Kept>, EngineError> {
    let volume = |number: usize, name: &String| SourceVolume {
        name: name.clone(),
        entry: None,
        target: format!("/sources/{number}"),
    };
    let spec = ContainerSpec {
        image: String::new(),
        role: "sources",
        lifetime: Duration::from_secs(600),
        limits: Limits { pids: 64, nofile: 1024, ..Limits::default() },
        isolation: Isolation::Hostile,
        network: Some("none".into()),
        volumes: names.iter().enumerate().map(|(n, name)| volume(n, name)).collect(),
    };
    let script = format!(
        "now=$(date +%s)\n\
         for place in /sources/*; do\n\
         size=$(du -sk \"$place\" | cut -f 1)\n\
         used=$(stat -c %Y \"$place/{MARKER}\" 2>/dev/null || stat -c %Y \"$place\")\n\
         echo \"${{place##*/}} $((now - used)) $size\"\n\
         done"
    );
    let container = images.start(spec).await?;
    let command = ["/bin/sh", "-c", &script];
    let exec = Exec { user: "0:0", command: &command, env: &[], directory: "/", idle: None, capture: true };
    let ran = container.exec(exec, |_| ()).await;
    container.remove().await?;
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let number: usize = words.next()?.parse().ok()?;
        // PKGBUILD code owns the marker, and may say that it was touched in the future.
        let unused_for = Duration::from_secs(words.next()?.parse::<i64>().ok()?.max(0).unsigned_abs());
        let bytes = words.next()?.parse::<u64>().ok()?.saturating_mul(1024);
        Some(Kept { name: names.get(number)?.clone(), unused_for, bytes })
    };
    Ok(ran?.output.lines().filter_map(parse).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, days: u64, bytes: u64) -> Kept {
        Kept { name: name.into(), unused_for: Duration::from_secs(days * 86_400), bytes }
    }

    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    #[test]
    fn what_is_unused_for_too_long_goes_however_small() {
        let all = vec![kept("old", 31, 1), kept("new", 1, 1)];
        assert_eq!(surplus(all, 100, MONTH), ["old"]);
    }

    #[test]
    fn the_longest_unused_go_until_the_rest_fits() {
        let all = vec![kept("a", 1, 40), kept("b", 3, 40), kept("c", 2, 40), kept("d", 4, 20)];
        assert_eq!(surplus(all, 100, MONTH), ["b"], "d is small enough to stay");
    }

    #[test]
    fn one_that_is_larger_than_the_room_goes_and_the_others_stay() {
        let all = vec![kept("huge", 0, 1000), kept("a", 1, 40)];
        assert_eq!(surplus(all, 100, MONTH), ["huge"]);
    }
}
