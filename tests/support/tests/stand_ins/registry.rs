use vieter_test_support::docker::{base_image, docker, image_exists, output};
use vieter_test_support::registry::Registry;

#[test]
fn an_image_is_pushed_and_pulled_unless_the_registry_is_down() {
    let mut registry = Registry::start();
    let name = registry.push(&base_image(), "archlinux:test");
    assert!(!image_exists(&name));
    docker(&["pull", "--quiet", &name]);
    assert!(image_exists(&name));
    registry.stop();
    assert!(!output(&["pull", "--quiet", &name]).status.success());
    registry.resume();
    docker(&["pull", "--quiet", &name]);
    assert!(registry.log().contains("archlinux"));
    drop(registry);
    assert!(!image_exists(&name));
}
