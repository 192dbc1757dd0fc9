use std::time::Duration;

use vieter_test_support::docker::{Decoy, Recorder, Snapshot, base_image, docker, image_history};
use vieter_test_support::packages::{Compression, archive};
use vieter_test_support::pacman_client::PacmanClient;
use vieter_test_support::unique;

#[test]
fn what_is_left_is_found_by_label() {
    let label = format!("dev.vieter.run={}", unique());
    let before = Snapshot::take();
    before.assert_nothing_of_ours_left(&label);
    let base = base_image();
    let container = docker(&["create", "--label", &label, &base, "true"]);
    let volume = docker(&["volume", "create", "--label", &label]);
    let network = docker(&["network", "create", "--label", &label, &unique()]);
    let image = docker(&["commit", "--change", &format!("LABEL {label}"), &container]);
    let left = before.leftovers(&label);
    docker(&["rm", &container]);
    docker(&["volume", "rm", &volume]);
    docker(&["network", "rm", &network]);
    before.assert_only_an_image_left(&label);
    docker(&["rmi", &image]);
    assert_eq!(left.containers, [container]);
    assert_eq!(left.volumes, [volume]);
    assert_eq!(left.networks, [network]);
    assert_eq!(left.images, [image]);
    before.assert_nothing_of_ours_left(&label);
}

#[test]
fn a_decoy_stays_as_it_is() {
    let decoy = Decoy::new();
    decoy.assert_untouched();
    decoy.assert_untouched();
}

#[test]
fn containers_are_recorded_with_what_they_were_told() {
    let label = format!("dev.vieter.run={}", unique());
    let recorder = Recorder::start(&label);
    let secret = unique();
    let variable = format!("SECRET={secret}");
    let base = base_image();
    let run = ["run", "--rm", "--label", &label, "--env", &variable, &base, "true"];
    docker(&run);
    recorder.wait_for_created(1, Duration::from_secs(10));
    assert_eq!(recorder.created().len(), 1);
    assert!(recorder.text().contains(&secret));
    assert!(!recorder.inspections().is_empty());
}

#[test]
fn the_history_of_an_image_is_text() {
    assert!(image_history(&base_image()).contains("CreatedBy"));
}

#[test]
fn a_client_installs_from_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = dir.path().join("repo/x86_64");
    std::fs::create_dir_all(&repo).expect("a folder");
    let file = "tiny-1.0-1-x86_64.pkg.tar.zst";
    let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
    std::fs::write(repo.join(file), package).expect("a file");
    // The database is made by pacman's own tool, in a container as well.
    let mount = format!("{}:/repo", repo.display());
    let base = base_image();
    let add = format!("repo-add /repo/repo.db.tar.gz /repo/{file}");
    docker(&["run", "--rm", "--volume", &mount, &base, "sh", "-c", &add]);
    let client = PacmanClient::directory(dir.path(), "repo");
    client.install(&["tiny"]);
    assert_eq!(client.version_of("tiny"), "1.0-1");
    client.add_base_repositories();
    let config = client.must(&["cat", "/etc/pacman-test.conf"]);
    assert!(config.contains("\n[core]\n") && config.matches("[options]").count() == 1);
}
