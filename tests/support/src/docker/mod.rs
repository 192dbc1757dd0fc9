//! Docker as a test sees it: through the `docker` command, next to the program.

mod decoy;
mod recorder;
mod snapshot;

use std::process::{Command, Output};

pub use decoy::Decoy;
pub use recorder::Recorder;
pub use snapshot::{Leftovers, Snapshot};

/// The label of everything that one run of the program makes is `<this>=<run id>`.
pub const RUN_LABEL: &str = "dev.vieter.run";

/// Runs `docker` whatever comes of it.
pub fn output(arguments: &[&str]) -> Output {
    let output = Command::new("docker").args(arguments).output();
    output.expect("run docker: is the Docker command line installed?")
}

/// Runs `docker`, which must succeed; gives its output without the last newline.
pub fn docker(arguments: &[&str]) -> String {
    let output = output(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {stderr}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim_end().to_string()
}

/// Fails the test, and says what to do, when there is no Docker daemon.
pub fn require_docker() {
    let output = output(&["version", "--format", "{{.Server.Version}}"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "these tests need a Docker daemon: start one (`systemctl start docker`) or point \
         DOCKER_HOST at one; docker says: {stderr}"
    );
}

/// The image the tests build in: `VIETER_TEST_BASE_IMAGE`, or `archlinux:latest`.
///
/// Fails the test, and says what to do, when it is not there.
pub fn base_image() -> String {
    require_docker();
    let set = std::env::var("VIETER_TEST_BASE_IMAGE").ok().filter(|image| !image.is_empty());
    let image = set.unwrap_or_else(|| "archlinux:latest".to_string());
    assert!(
        image_exists(&image),
        "the image {image} is not there: `docker pull {image}`, or, where no registry can be \
         reached, make the stand-in with `tests/archlinux/build.sh`, or name another one in \
         VIETER_TEST_BASE_IMAGE"
    );
    image
}

/// True when the image is present locally.
pub fn image_exists(image: &str) -> bool {
    output(&["image", "inspect", "--format", "{{.Id}}", image]).status.success()
}

/// The history of an image: every command and comment in full, to be searched for secrets.
pub fn image_history(image: &str) -> String {
    docker(&["image", "history", "--no-trunc", "--format", "{{json .}}", image])
}

/// All that `docker inspect` says of an image, to be searched for secrets.
pub fn image_inspect(image: &str) -> String {
    docker(&["image", "inspect", image])
}

/// The address of this machine on the default bridge, for programs in containers.
pub fn bridge_gateway() -> String {
    let template = "{{(index .IPAM.Config 0).Gateway}}";
    let gateway = docker(&["network", "inspect", "bridge", "--format", template]);
    if gateway.is_empty() { "172.17.0.1".to_string() } else { gateway }
}

/// The lines of an output, without empty ones.
fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_string)
}

/// A container that goes away with this value.
#[derive(Debug)]
pub(crate) struct Container {
    pub id: String,
}

impl Container {
    /// Starts one of `image` that does nothing; `options` are those of `docker run`.
    pub fn idle(image: &str, options: &[&str]) -> Self {
        let name = format!("vieter-test-{}", crate::unique());
        let mut arguments = vec!["run", "--detach", "--init", "--name", &name];
        arguments.extend(options);
        // Outlives no test by much, even when the test is killed.
        arguments.extend(["--entrypoint", "sleep", "--rm", image, "3600"]);
        Self { id: docker(&arguments) }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        output(&["rm", "--force", "--volumes", &self.id]);
    }
}
