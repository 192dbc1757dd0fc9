//! Stage 1, the builder image: where it comes from, when it is used again, brought up to date or made anew,
//! and what becomes of those before it.

mod common;

use std::fs;
use std::process::Command;

use common::web::Web;
use common::{Kind, Watch, World};
use serde_json::Value;
use vieter_test_support::docker::{base_image, docker, output};
use vieter_test_support::packages::{Compression, Package, archive, tiny, unparseable};
use vieter_test_support::program::{Finished, Vieter};
use vieter_test_support::registry::Registry;
use vieter_test_support::unique;

/// Images that go when the test ends: the builder images of one name, and what they are made from.
struct Images {
    builder: String,
    others: Vec<String>,
}

impl Images {
    fn new() -> Self {
        Self { builder: format!("vieter-test-image-{}", unique()), others: Vec::new() }
    }

    /// An image like the base image, after a command in it; the options are those of `docker run`.
    fn derive(&mut self, options: &[&str], script: &str) -> String {
        let name = format!("vieter-test-container-{}", unique());
        let base = base_image();
        let shell = ["--name", &name, "--entrypoint", "sh", &base, "-c", script];
        docker(&[&["run"], options, &shell].concat());
        let image = docker(&["commit", &name]);
        docker(&["rm", "--volumes", &name]);
        self.others.push(image.clone());
        image
    }

    /// The ids of the builder images, also those that only lie below another one.
    fn builders(&self) -> Vec<String> {
        let ids = docker(&["images", "--all", "--quiet", "--no-trunc", "--filter", "label=dev.vieter.setup"]);
        let mut ids: Vec<String> = ids.lines().map(str::to_owned).collect();
        ids.retain(|id| label(id, "name").starts_with(&format!("{} from ", self.builder)));
        ids.sort();
        ids.dedup();
        ids
    }

    /// The run of a list whose one entry has to be looked into, but is soon done with.
    fn vieter(&self, world: &World, base: &str) -> Vieter {
        let vieter = world.vieter("build").env("VIETER_IMAGE_NAME", &self.builder);
        vieter.env("VIETER_BASE_IMAGE", base).env("VIETER_LOG_LEVEL", "trace")
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for _ in 0..3 {
            for image in self.builders().iter().chain(&self.others) {
                output(&["rmi", "--force", image]);
            }
        }
    }
}

/// A label of the program's. A builder image that is gone by now has none.
fn label(image: &str, name: &str) -> String {
    let template = format!("{{{{index .Config.Labels \"dev.vieter.{name}\"}}}}");
    let output = output(&["image", "inspect", "--format", &template, image]);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn image_id(name: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", name])
}

/// How the builder image was had in a run, and its id.
fn ready(finished: &Finished) -> (String, String) {
    let lines = finished.messages("builder image is ready");
    let [line] = lines.as_slice() else { panic!("not one builder image:\n{}", finished.stderr) };
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (text("how"), text("image"))
}

/// A world with one entry that has to be looked into, which costs little and ends with 1.
fn world() -> World {
    let world = World::without_image(Kind::Directory);
    world.packages(&[unparseable("unreadable")]);
    world
}

#[test]
fn the_base_image_is_pulled_and_what_is_made_of_it_is_kept() {
    let (world, mut images) = (world(), Images::new());
    let mut registry = Registry::start();
    let push = |images: &mut Images, registry: &Registry| {
        let image = images.derive(&[], "head -c 2000000 /dev/urandom > /usr/share/random");
        // The only name that it has here is taken from it, and with that it is gone.
        registry.push(&image, "archlinux:latest")
    };
    let base = push(&mut images, &registry);
    let foreign = format!("{}:of-somebody-else", images.builder);
    docker(&["tag", &base_image(), &foreign]);
    images.others.push(foreign.clone());
    let run = |images: &Images, age: &str| {
        let vieter = images.vieter(&world, &base).env("VIETER_PULL", "always");
        world.run(vieter.env("VIETER_IMAGE_MAX_AGE", age))
    };

    let finished = run(&images, "1day");
    finished.assert_code(1);
    let (how, first) = ready(&finished);
    assert_eq!(how, "made");
    let pulling = finished.messages(&format!("pulling {base}"));
    assert!(pulling.len() > 1, "no progress: {pulling:?}");
    assert_eq!(images.builders(), [first.as_str()]);
    assert_eq!(label(&first, "role"), "builder-image");
    assert_eq!(label(&first, "base"), image_id(&base));
    assert_eq!((label(&first, "run"), label(&first, "updates")), (String::new(), "0".to_owned()));
    let installed = docker(&["run", "--rm", "--entrypoint", "pacman", &first, "-Qq", "base-devel", "git"]);
    assert_eq!(installed, "base-devel\ngit");
    assert!(world.path("report/logs/00-image.log").is_file());

    // Young enough: used as it is, without asking anybody.
    registry.stop();
    let watch = Watch::start();
    let finished = run(&images, "1day");
    finished.assert_code(1);
    assert_eq!(ready(&finished), ("used".to_owned(), first.clone()));
    assert_eq!(watch.roles(&finished), ["build", "sources"]);
    assert_eq!(finished.json_lines().iter().filter(|line| line["level"] == "warn").count(), 0);

    // Too old, and the registry is gone: what is here has to do.
    let finished = run(&images, "0s");
    finished.assert_code(1);
    let (how, second) = ready(&finished);
    assert_eq!((how.as_str(), label(&second, "updates").as_str()), ("updated", "1"));
    assert_eq!(finished.messages("is used instead").len(), 1);

    // Another base image under the same name: made anew, and nothing of the former is left.
    registry.resume();
    push(&mut images, &registry);
    let finished = run(&images, "1day");
    finished.assert_code(1);
    let (how, third) = ready(&finished);
    assert_eq!(how, "made");
    assert_eq!(label(&third, "base"), image_id(&base));
    assert_eq!(images.builders(), [third.as_str()], "superseded ones are removed");
    assert_eq!(image_id(&foreign), image_id(&base_image()), "an image that only has the name is not touched");

    // Neither here nor there.
    registry.stop();
    docker(&["rmi", &base]);
    let finished = run(&images, "0s");
    finished.assert_code(69);
    let last = finished.json_lines().pop().expect("there are lines");
    assert!(last["message"].as_str().is_some_and(|text| text.contains("there is no local one")), "{last}");
    assert!(last["hint"].as_str().is_some_and(|text| text.contains("VIETER_BASE_IMAGE")), "{last}");
}

#[test]
fn a_kept_image_is_brought_up_to_date_and_made_anew_in_the_end() {
    let (world, mut images, web) = (world(), Images::new(), Web::start());
    let mount = format!("{}:/late", web.folder().display());
    let add = |version: &str| {
        let file = format!("late-{version}-any.pkg.tar.zst");
        let package = archive("late", version, "any", Compression::Zstd);
        fs::write(web.folder().join(&file), package).expect("write a file");
        format!("repo-add --quiet /late/late.db.tar.gz /late/{file}")
    };
    let server = web.url_from_container();
    let first = add("1.0-1");
    let base = images.derive(
        &["--volume", &mount],
        &format!(
            "{first} && pacman -U --noconfirm /late/late-1.0-1-any.pkg.tar.zst && \
             printf '[late]\\nSigLevel = Never\\nServer = {server}\\n' >> /etc/pacman.conf"
        ),
    );
    let run = || world.run(images.vieter(&world, &base).env("VIETER_IMAGE_MAX_AGE", "0s"));
    let late = |image: &str| docker(&["run", "--rm", "--entrypoint", "pacman", image, "-Q", "late"]);
    let (how, image) = ready(&run());
    assert_eq!((how.as_str(), late(&image).as_str()), ("made", "late 1.0-1"));

    let newer = add("2.0-1");
    docker(&["run", "--rm", "--volume", &mount, "--entrypoint", "sh", &base_image(), "-c", &newer]);
    let (how, image) = ready(&run());
    assert_eq!((how.as_str(), late(&image).as_str()), ("updated", "late 2.0-1"));
    assert_eq!(label(&image, "updates"), "1");

    // Layers do not pile up without bound.
    let container = docker(&["create", &image]);
    let tagged = format!("{}:{}", images.builder, &label(&image, "setup")[..12]);
    docker(&["commit", "--change", "LABEL dev.vieter.updates=10", &container, &tagged]);
    docker(&["rm", &container]);
    let (how, image) = ready(&run());
    assert_eq!((how.as_str(), late(&image).as_str()), ("made", "late 2.0-1"));
    assert_eq!(images.builders(), [image.as_str()]);

    // A set-up that fails is an error with what the command said, and makes no image.
    drop(web);
    let finished = run();
    finished.assert_code(69);
    let last = finished.json_lines().pop().expect("there are lines");
    let message = last["message"].as_str().unwrap_or_default();
    for part in ["bringing the system up to date", "failed with exit code 1", "late.db", "error: "] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert!(last["hint"].as_str().is_some_and(|hint| hint.contains("mirror")), "{last}");
    assert_eq!(world.report().0["error"]["kind"], "image");
    assert_eq!(images.builders(), [image.as_str()]);
}

/// A kept image is used as it is while it is young. A dependency that came to the mirror since is found all the same.
#[test]
fn what_the_images_databases_do_not_know_yet_is_looked_for_in_newer_ones() {
    let (world, mut images, web) = (world(), Images::new(), Web::start());
    let mount = format!("{}:/late", web.folder().display());
    let add = |name: &str| {
        let file = format!("{name}-1.0-1-any.pkg.tar.zst");
        let package = archive(name, "1.0-1", "any", Compression::Zstd);
        fs::write(web.folder().join(&file), package).expect("write a file");
        format!("repo-add --quiet /late/late.db.tar.gz /late/{file}")
    };
    let (first, server) = (add("known"), web.url_from_container());
    let section = format!("printf '[late]\\nSigLevel = Never\\nServer = {server}\\n' >> /etc/pacman.conf");
    let base = images.derive(&["--volume", &mount], &format!("{first} && {section}"));
    let user = Package::new("user").make_depends(&["newcomer"]);
    world.packages(&[tiny("plain", "1.0", 1)]);
    world.run(images.vieter(&world, &base)).assert_code(0);
    docker(&["run", "--rm", "--volume", &mount, "--entrypoint", "sh", &base_image(), "-c", &add("newcomer")]);
    world.packages(&[user]);
    let finished = world.run(images.vieter(&world, &base));
    finished.assert_code(0);
    assert_eq!(ready(&finished).0, "used");
    assert_eq!(world.report().with_result("published"), ["user"]);
}

#[test]
fn two_runs_at_once_do_not_take_each_others_image() {
    let images = Images::new();
    let worlds = [World::without_image(Kind::Directory), World::without_image(Kind::Directory)];
    for (world, name) in worlds.iter().zip(["one", "other"]) {
        world.packages(&[tiny(name, "1.0", 1)]);
    }
    let start = |world: &World| images.vieter(world, &base_image()).spawn();
    let running: Vec<_> = worlds.iter().map(start).collect();
    for (world, running) in worlds.iter().zip(running) {
        world.wait(running, std::time::Duration::from_secs(300)).assert_code(0);
    }
    worlds[0].assert_published(&["one 1.0-1"]);
    worlds[1].assert_published(&["other 1.0-1"]);
}

/// An image that `tests/archlinux/build.sh` makes.
fn stand_in(options: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/archlinux/build.sh");
    let built = Command::new(script).args(options).output().expect("run the script");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{script} {options:?}: {said}");
    String::from_utf8_lossy(&built.stdout).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn older_and_stricter_pacmans_do_as_well() {
    for options in [
        &["--suite", "bookworm", "--tag", "archlinux:pacman6"][..],
        &["--strict-sandbox", "--tag", "archlinux:strict"],
    ] {
        let base = stand_in(options);
        let (world, images) = (World::without_image(Kind::Directory), Images::new());
        // Its installation asks more of a container than any other: a user is made, a directory is given to
        // it, a hook runs, and a program is setgid.
        let user = Package::new("user").make_depends(&["greet-daemon"]).build_body(
            "id greet; stat -c 'owner of it: %U' /var/lib/greet; stat -c 'mode: %a' /usr/bin/greet-daemon",
        );
        world.packages(&[tiny("tiny", "1.0", 1), user]);
        let finished = world.run(images.vieter(&world, &base));
        finished.assert_code(0);
        assert_eq!(ready(&finished).0, "made");
        world.assert_published(&["tiny 1.0-1", "user 1.0-1"]);
        for line in ["owner of it: greet", "mode: 2755"] {
            assert_eq!(finished.messages(line).len(), 1, "{base}: no {line:?} in\n{}", finished.stderr);
        }
    }
}

#[test]
fn no_container_is_started_where_there_is_nothing_to_do() {
    let (world, images) = (World::without_image(common::NEW), Images::new());
    world.packages(&[tiny("present", "1.0", 1)]);
    world.server().pretend_package(common::REPO, common::ARCH, "present", "1.0-1");
    let watch = Watch::start();
    let finished = world.run(images.vieter(&world, "no-such-image:ever"));
    finished.assert_code(0);
    assert_eq!(watch.roles(&finished), [] as [&str; 0]);
    assert_eq!(images.builders(), [] as [&str; 0]);
    assert_eq!(world.report().0["counts"]["up_to_date"], Value::from(1));
}
