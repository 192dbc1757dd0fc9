//! What Docker holds, before and after.

use std::collections::BTreeSet;

use super::{docker, lines};

/// The ids of everything a Docker daemon holds at one moment.
#[derive(Debug)]
pub struct Snapshot {
    containers: BTreeSet<String>,
    images: BTreeSet<String>,
    volumes: BTreeSet<String>,
    networks: BTreeSet<String>,
}

/// What is there and was not at the time of a [`Snapshot`].
#[derive(Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// Ids of containers, running or not.
    pub containers: Vec<String>,
    /// Ids of images, tagged or dangling.
    pub images: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Ids of networks.
    pub networks: Vec<String>,
}

impl Snapshot {
    /// Everything there is now.
    pub fn take() -> Self {
        Self::matching(&[])
    }

    fn matching(filter: &[&str]) -> Self {
        let list = |command: &[&str]| lines(&docker(&[command, filter].concat())).collect();
        Self {
            containers: list(&["ps", "--all", "--quiet", "--no-trunc"]),
            images: list(&["images", "--quiet", "--no-trunc"]),
            volumes: list(&["volume", "ls", "--quiet"]),
            networks: list(&["network", "ls", "--quiet", "--no-trunc"]),
        }
    }

    /// What has come since and carries a label: a key, or `key=value`.
    ///
    /// Tests run side by side, so name the run: `dev.vieter.run=<run id>`.
    pub fn leftovers(&self, label: &str) -> Leftovers {
        let now = Self::matching(&["--filter", &format!("label={label}")]);
        let new = |now: &BTreeSet<String>, before| now.difference(before).cloned().collect();
        Leftovers {
            containers: new(&now.containers, &self.containers),
            images: new(&now.images, &self.images),
            volumes: new(&now.volumes, &self.volumes),
            networks: new(&now.networks, &self.networks),
        }
    }

    /// Fails when a container, image, volume or network with this label has come since.
    pub fn assert_nothing_of_ours_left(&self, label: &str) {
        self.assert_left(label, 0);
    }

    /// Fails when a container, volume or network with this label has come since, or anything but
    /// exactly one image (the builder image that is kept).
    pub fn assert_only_an_image_left(&self, label: &str) {
        self.assert_left(label, 1);
    }

    fn assert_left(&self, label: &str, images: usize) {
        let left = self.leftovers(label);
        let others = left.containers.len() + left.volumes.len() + left.networks.len();
        assert!(others == 0 && left.images.len() == images, "left with {label}: {left:?}");
    }

    /// Fails when something that was there is not there any more, whoever made it.
    ///
    /// Only for a test that runs alone.
    pub fn assert_nothing_gone(&self) {
        let now = Self::take();
        let gone = |before: &BTreeSet<String>, now| before.difference(now).cloned().collect::<Vec<_>>();
        let gone = [
            gone(&self.containers, &now.containers),
            gone(&self.images, &now.images),
            gone(&self.volumes, &now.volumes),
            gone(&self.networks, &now.networks),
        ];
        assert!(gone.iter().all(Vec::is_empty), "gone: {gone:?}");
    }
}
