//! A machine of someone who installs what was published.

use std::path::Path;
use std::process::Output;

use crate::docker::{Container, base_image, docker, output};

/// Where a repository given by its folder is put in the container.
const FOLDER: &str = "/srv/repository";
const CONFIG: &str = "/etc/pacman-test.conf";

/// A clean container of the base image whose pacman knows one repository: the one to test.
///
/// Packages may depend on what the base image has installed, on more only after
/// [`add_base_repositories`](Self::add_base_repositories).
pub struct PacmanClient {
    container: Container,
}

impl PacmanClient {
    /// A client of `<url>/<repo>/<arch>`; the network is that of this machine.
    pub fn http(url: &str, repo: &str) -> Self {
        Self::new(&[(repo, url)])
    }

    /// A client of a folder with `<repo>/<arch>/`, of which it gets a copy.
    pub fn directory(path: impl AsRef<Path>, repo: &str) -> Self {
        let client = Self::new(&[(repo, &format!("file://{FOLDER}"))]);
        client.copy_in(path);
        client
    }

    /// Copies the folder into the container again, in the place of the first copy.
    pub fn copy_in(&self, path: impl AsRef<Path>) {
        self.must(&["rm", "-rf", FOLDER]);
        let target = format!("{}:{FOLDER}", self.container.id);
        docker(&["cp", &path.as_ref().display().to_string(), &target]);
    }

    fn new(repos: &[(&str, &str)]) -> Self {
        let client = Self { container: Container::idle(&base_image(), &["--network", "host"]) };
        let mut config = "[options]\nArchitecture = auto\nSigLevel = Optional TrustAll\n".to_string();
        // Containers on older Docker daemons may not use Landlock; pacman 6 knows no sandbox.
        let help = client.run(&["pacman", "--sync", "--help"]);
        if String::from_utf8_lossy(&help.stdout).contains("--disable-sandbox") {
            config.push_str("DisableSandbox\n");
        }
        for (repo, url) in repos {
            config.push_str(&format!("\n[{repo}]\nServer = {url}/$repo/$arch\n"));
        }
        client.must(&["sh", "-c", &format!("printf '%s' \"$1\" > {CONFIG}"), "sh", &config]);
        client
    }

    /// Adds the repositories that the base image is set up with, after the one to test.
    pub fn add_base_repositories(&self) {
        let sections = r#"/^\[/ { wanted = ($0 != "[options]") } wanted"#;
        let script = format!("awk '{sections}' /etc/pacman.conf >> {CONFIG}");
        self.must(&["sh", "-c", &script]);
    }

    /// `pacman -Sy` and `-S`; gives what pacman said.
    pub fn install(&self, packages: &[&str]) -> String {
        let sync = ["pacman", "--config", CONFIG, "-Sy", "--noconfirm"];
        self.must(&[&sync, packages].concat())
    }

    /// Runs pacman with the repository; gives what it said.
    pub fn pacman(&self, arguments: &[&str]) -> String {
        self.must(&[&["pacman", "--config", CONFIG, "--noconfirm"], arguments].concat())
    }

    /// Runs any command in the container.
    pub fn run(&self, command: &[&str]) -> Output {
        output(&[&["exec", &self.container.id], command].concat())
    }

    /// Runs a command that must succeed; gives its output.
    pub fn must(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.container.id], command].concat())
    }

    /// The version of an installed package.
    pub fn version_of(&self, package: &str) -> String {
        let line = self.must(&["pacman", "--query", package]);
        line.split_whitespace().nth(1).unwrap_or_default().to_string()
    }
}
