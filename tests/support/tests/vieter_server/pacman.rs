//! Real pacman against the stand-in.

use vieter_test_support::packages::{Compression, archive};
use vieter_test_support::pacman_client::PacmanClient;
use vieter_test_support::vieter_server::{Generation, VieterServer};

use crate::wire::publish;

#[test]
fn pacman_installs_from_every_generation() {
    for generation in Generation::ALL {
        let server = VieterServer::start(generation);
        publish(&server, "repo", &archive("tiny", "1.0-1", "x86_64", Compression::Zstd));
        publish(&server, "repo", &archive("every", "2:1.0-1", "any", Compression::Xz));
        let client = PacmanClient::http(&server.url(), "repo");
        client.install(&["tiny", "every"]);
        assert_eq!(client.version_of("tiny"), "1.0-1");
        assert_eq!(client.version_of("every"), "2:1.0-1");
        assert_eq!(client.must(&["cat", "/usr/share/tiny/version"]), "1.0-1");
        let owner = client.pacman(&["-Fy", "/usr/share/every/version"]);
        assert!(owner.contains("repo/every"), "{owner}");
        publish(&server, "repo", &archive("tiny", "1.1-1", "x86_64", Compression::Zstd));
        client.pacman(&["-Syu"]);
        assert_eq!(client.version_of("tiny"), "1.1-1");
    }
}
