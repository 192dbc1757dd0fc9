//! Things of someone else that the program must not touch.

use super::{base_image, docker, output};

/// A running container, a stopped one, a dangling image and a volume, none with a label of the
/// program; dropping it removes them.
#[derive(Debug)]
pub struct Decoy {
    running: String,
    stopped: String,
    image: String,
    volume: String,
    /// What Docker said of them when they were made.
    state: [String; 4],
}

impl Decoy {
    /// Makes them.
    pub fn new() -> Self {
        let base = base_image();
        let name = format!("someone-elses-{}", crate::unique());
        let volume = docker(&["volume", "create", &name]);
        let mount = format!("{volume}:/data");
        let container = |what: &str, command: &[&str]| {
            let name = format!("{name}-{what}");
            let before: &[_] = &["--name", &name, "--volume", &mount, &base];
            docker(&[&["run", "--detach"], before, command].concat())
        };
        let running = container("running", &["sleep", "3600"]);
        let stopped = container("stopped", &["sh", "-c", "echo precious > /data/file"]);
        docker(&["wait", &stopped]);
        let image = docker(&["commit", "--message", &name, &stopped]);
        let state = states(&running, &stopped, &image, &volume);
        Self { running, stopped, image, volume, state }
    }

    /// Fails when one of them is gone, was stopped or started, or has changed.
    pub fn assert_untouched(&self) {
        let state = states(&self.running, &self.stopped, &self.image, &self.volume);
        assert_eq!(state, self.state, "something of someone else was touched");
        let content = docker(&["exec", &self.running, "cat", "/data/file"]);
        assert_eq!(content, "precious", "the volume of someone else was touched");
    }
}

impl Default for Decoy {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        output(&["rm", "--force", &self.running, &self.stopped]);
        output(&["rmi", "--force", &self.image]);
        output(&["volume", "rm", "--force", &self.volume]);
    }
}

fn states(running: &str, stopped: &str, image: &str, volume: &str) -> [String; 4] {
    let container = "{{.Id}} {{.State.Status}} {{.State.StartedAt}} {{.RestartCount}} {{.Name}}";
    [
        docker(&["inspect", "--format", container, running]),
        docker(&["inspect", "--format", container, stopped]),
        docker(&["image", "inspect", "--format", "{{.Id}} {{.RepoTags}}", image]),
        docker(&["volume", "inspect", "--format", "{{.Name}} {{.CreatedAt}}", volume]),
    ]
}
