//! What is read from a PKGBUILD without running it is what makepkg says of it, or nothing.
//!
//! Needs Docker and an image with makepkg: `VIETER_TEST_BASE_IMAGE`, `archlinux:latest` by default.
//! `VIETER_TEST_PKGBUILDS` is how many to make up, `VIETER_TEST_SEED` where to start.

mod pkgbuild_generator;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vieter::catalog::pkgbuild::{Facts, Reading, StaticPackage, Version, agrees, read, read_srcinfo};

const ARCHITECTURE: &str = "x86_64";

/// Complaints of makepkg about variables that are not read.
const UNREAD: [&str; 2] = ["source does not allow empty values.", "license does not allow empty values."];

fn is_about_what_is_not_read(errors: &str) -> bool {
    let unread = |line: &str| UNREAD.iter().any(|unread| line.ends_with(unread));
    !errors.is_empty() && errors.lines().all(unread)
}

/// Asks makepkg about every PKGBUILD, as somebody who is not root. makepkg exits with an error for
/// those it refuses.
///
/// In memory, and with bash in the place of `grep`: reading makepkg's hundred files and starting
/// `grep` a thousand times for each takes most of the time otherwise.
const ASK: &str = r#"
cp -r /usr/share/makepkg /cases/library
export LIBRARY=/cases/library MAKEPKG_LIBRARY=/cases/library
grep() {
  [[ $# == 2 && $1 == -E ]] || { command grep "$@"; return; }
  local line found=1
  while IFS= read -r line; do
    if [[ $line =~ $2 ]]; then printf '%s\n' "$line"; found=0; fi
  done
  return $found
}
ask() {
  cd $1
  # Files beside the PKGBUILD (install=, changelog=) are not what is asked about: made as makepkg misses them.
  for try in 1 2 3 4 5; do
    makepkg --printsrcinfo >srcinfo 2>errors </dev/null
    echo $? >status
    file=$(command grep -oP 'file \(\K[^/)]+(?=\) does not exist)' errors | head -n 1)
    [[ $file ]] && touch -- "$file" || break
  done
}
export -f ask grep
ls -d /cases/all/* | xargs -P 4 -n 1 timeout 120 bash -c 'ask $0' || true
"#;

fn docker(arguments: &[&str]) -> Output {
    let output = Command::new("docker").args(arguments).output().expect("docker can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {errors}");
    output
}

/// A container that is removed at the end, come what may.
struct Container(String);

impl Container {
    fn start() -> Self {
        let image = std::env::var("VIETER_TEST_BASE_IMAGE").ok().filter(|image| !image.is_empty());
        let image = image.as_deref().unwrap_or("archlinux:latest");
        let arguments = ["run", "--detach", "--init", "--network=none", "--ulimit=nofile=1024:4096"];
        let memory = ["--tmpfs=/cases:mode=1777,exec"];
        let output = docker(&[&arguments[..], &memory, &["--entrypoint=sleep", image, "3600"]].concat());
        Self(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a script, with what it is given on its standard input. Returns what it prints.
    fn run(&self, script: &str, input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("docker")
            .args(["exec", "--interactive", "--user=nobody", "--env=HOME=/tmp"])
            .args([&self.0, "bash", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input).expect("the script reads its input");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{script}");
        output.stdout
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let removed = Command::new("docker").args(["rm", "--force", &self.0]).output();
        drop(removed);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Makes up PKGBUILDs, the same ones for the same seed.
fn made_up(count: u64, seed: u64) -> Vec<String> {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = pkgbuild_generator::pkgbuild();
    let mut one = || strategy.new_tree(&mut runner).expect("it filters little").current();
    (0..count).map(|_| one()).collect()
}

/// What `makepkg --printsrcinfo` printed, section by section.
type Section = BTreeMap<String, Vec<String>>;

/// `None` if that is no `.SRCINFO`: a PKGBUILD may print, or end makepkg, by itself.
fn sections(text: &str) -> Option<Vec<(String, Section)>> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line.split_once(" =")?;
        let value = value.trim().to_owned();
        if line.starts_with('\t') {
            let (_, section) = sections.last_mut()?;
            section.entry(key.trim().to_owned()).or_default().push(value);
        } else {
            sections.push((value, Section::new()));
        }
    }
    (!sections.is_empty()).then_some(sections)
}

/// The facts in what makepkg printed. A key of a package without a value clears it.
fn facts(text: &str) -> Option<Facts> {
    let mut sections = sections(text)?.into_iter();
    let (pkgbase, base) = sections.next()?;
    let all = |section: &Section, key: &str| -> Option<Vec<String>> {
        let values = section.get(key)?.iter();
        Some(values.filter(|value| !value.is_empty()).cloned().collect())
    };
    let list = |package: Option<&Section>, arch: &[String], key: &str| {
        let one =
            |key: &str| package.and_then(|p| all(p, key)).or_else(|| all(&base, key)).unwrap_or_default();
        let mut list = one(key);
        if arch.iter().any(|arch| arch == ARCHITECTURE) {
            list.extend(one(&format!("{key}_{ARCHITECTURE}")));
        }
        list
    };
    let arch = all(&base, "arch")?;
    let one = |key: &str| all(&base, key).and_then(|values| values.into_iter().next());
    let packages = sections.map(|(name, package)| {
        let arch = all(&package, "arch").unwrap_or_else(|| arch.clone());
        StaticPackage {
            depends: list(Some(&package), &arch, "depends"),
            provides: list(Some(&package), &arch, "provides"),
            name,
            arch,
        }
    });
    Some(Facts {
        packages: packages.collect(),
        depends: list(None, &arch, "depends"),
        makedepends: list(None, &arch, "makedepends"),
        checkdepends: list(None, &arch, "checkdepends"),
        provides: list(None, &arch, "provides"),
        options: all(&base, "options").unwrap_or_default(),
        version: Version {
            epoch: one("epoch").and_then(|epoch| epoch.parse().ok()).filter(|epoch| *epoch > 0),
            pkgver: one("pkgver")?,
            pkgrel: one("pkgrel")?,
        },
        pkgbase,
        arch: arch.clone(),
    })
}

#[derive(Default, Debug)]
struct Tally {
    cases: usize,
    valid: usize,
    valid_without_pkgver: usize,
    decided: usize,
    identities: usize,
    wrong: Vec<String>,
    reasons: BTreeMap<String, usize>,
}

impl Tally {
    fn wrong(&mut self, text: &str, what: &str) {
        self.wrong.push(format!("{what}\n--- PKGBUILD\n{text}\n---"));
    }

    /// Holds one reading against what makepkg says, or why it refuses the PKGBUILD.
    fn compare(&mut self, text: &str, makepkg: &Result<String, String>) {
        self.cases += 1;
        let reading = read(text.as_bytes(), ARCHITECTURE);
        let printed = makepkg.as_ref().map(|printed| (printed, facts(printed)));
        let (printed, expected) = match printed {
            Ok((printed, Some(expected))) => (printed, expected),
            // Where the sources are computed, whether makepkg likes them is not known, nor asked.
            Err(errors) if is_about_what_is_not_read(errors) => {
                return;
            }
            Err(errors) if matches!(reading, Reading::Certain(_)) => {
                return self.wrong(text, &format!("certain, but makepkg refuses it: {errors}"));
            }
            Ok((printed, None)) if matches!(reading, Reading::Certain(_)) => {
                return self.wrong(text, &format!("certain, but makepkg prints {printed}"));
            }
            _ => return,
        };
        self.valid += 1;
        let has_pkgver = match &reading {
            Reading::Certain(certain) => Some(certain.has_pkgver_function),
            Reading::Declined(declined) => declined.has_pkgver_function,
        };
        self.valid_without_pkgver += usize::from(has_pkgver != Some(true));
        match &reading {
            Reading::Certain(certain) => {
                self.decided += usize::from(!certain.has_pkgver_function);
                if certain.facts != expected {
                    self.wrong(text, &format!("{:#?}\nmakepkg: {expected:#?}", certain.facts));
                }
            }
            Reading::Declined(declined) => {
                let words = declined.reason.message.split(':').next().unwrap_or_default();
                *self.reasons.entry(words.to_owned()).or_default() += 1;
                if let Some(identity) = &declined.identity {
                    self.identities += 1;
                    if *identity != expected.identity() {
                        self.wrong(text, &format!("{identity:#?}\nmakepkg: {expected:#?}"));
                    }
                }
            }
        }
        self.compare_srcinfo(text, printed, &expected, &reading);
    }

    /// Holds the reading of a `.SRCINFO` against the same.
    fn compare_srcinfo(&mut self, text: &str, printed: &str, expected: &Facts, reading: &Reading) {
        let Ok(read) = read_srcinfo(printed.as_bytes(), ARCHITECTURE) else {
            return;
        };
        let sorted = |mut facts: Facts| {
            // The library keeps options and architectures in its own spelling and order.
            facts.options.clear();
            facts
        };
        if sorted(read.clone()) != sorted(expected.clone()) {
            self.wrong(text, &format!(".SRCINFO {read:#?}\nmakepkg: {expected:#?}\n{printed}"));
        }
        let older = printed.replace("pkgrel = ", "pkgrel = 9");
        let older = read_srcinfo(older.as_bytes(), ARCHITECTURE);
        if older.is_ok_and(|older| agrees(&older, reading).is_ok()) {
            self.wrong(text, "agrees with a .SRCINFO of another release");
        }
        if let Reading::Certain(certain) = reading
            && !certain.has_pkgver_function
            && let Err(disagreement) = agrees(&read, reading)
        {
            self.wrong(text, &format!("{disagreement}"));
        }
    }
}

/// Packs or unpacks an archive of a folder.
fn tar(arguments: &[&str], folder: &Path) {
    let status = Command::new("tar").args(arguments).current_dir(folder).status();
    assert!(status.expect("tar can be started").success(), "tar {arguments:?}");
}

/// Asks makepkg about all of them in one container.
fn ask_makepkg(texts: &[String]) -> Vec<Result<String, String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    for (number, text) in texts.iter().enumerate() {
        let case = folder.join(format!("cases/all/{number:06}"));
        std::fs::create_dir_all(&case).expect("a folder");
        std::fs::write(case.join("PKGBUILD"), text).expect("a file");
    }
    tar(&["-cf", "cases.tar", "-C", "cases", "all"], folder);
    let archive = std::fs::read(folder.join("cases.tar")).expect("the archive");
    let container = Container::start();
    container.run("tar -x --no-same-owner -C /cases", &archive);
    container.run(ASK, &[]);
    let answers = container.run("cd /cases && tar -c all", &[]);
    drop(container);
    std::fs::write(folder.join("answers.tar"), answers).expect("a file");
    tar(&["-xf", "answers.tar", "-C", "cases"], folder);
    let answer = |number: usize| {
        let case = folder.join(format!("cases/all/{number:06}"));
        let status = std::fs::read_to_string(case.join("status")).expect("makepkg was asked");
        let read = |name| String::from_utf8_lossy(&std::fs::read(case.join(name)).expect(name)).into_owned();
        if status.trim() == "0" { Ok(read("srcinfo")) } else { Err(read("errors")) }
    };
    (0..texts.len()).map(answer).collect()
}

/// Reads them all, holds every reading against makepkg, and tells what came of it.
fn compare_all(texts: &[String]) -> Tally {
    let answers = ask_makepkg(texts);
    let mut tally = Tally::default();
    for (text, answer) in texts.iter().zip(&answers) {
        tally.compare(text, answer);
    }
    for wrong in tally.wrong.iter().take(5) {
        eprintln!("{wrong}\n");
    }
    let Tally { cases, valid, valid_without_pkgver, decided, identities, wrong, .. } = &tally;
    eprintln!(
        "{cases} PKGBUILDs, {valid} valid, {valid_without_pkgver} of them without pkgver(), {decided} of those decided, \
         {identities} declined with the identity certain, {} wrong",
        wrong.len()
    );
    let mut reasons: Vec<_> = tally.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in reasons.iter().take(25) {
        eprintln!("{count:6} {reason}");
    }
    tally
}

#[test]
fn what_is_read_without_running_is_what_makepkg_says() {
    let texts = made_up(setting("VIETER_TEST_PKGBUILDS", 60), setting("VIETER_TEST_SEED", 1));
    let tally = compare_all(&texts);
    assert!(tally.wrong.is_empty());
    assert!(tally.decided * 4 > tally.valid_without_pkgver, "hardly any was decided");
}

/// Every file of a folder whose name ends in `PKGBUILD`, at any depth.
fn pkgbuilds_below(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            texts.extend(pkgbuilds_below(&entry));
        } else if entry.to_string_lossy().ends_with("PKGBUILD") {
            texts.push(String::from_utf8_lossy(&std::fs::read(&entry).expect("a file")).into_owned());
        }
    }
    texts
}

/// The same for files that somebody wrote: those of `VIETER_TEST_PKGBUILD_DIR`, a collection of your own, of which
/// nine in ten must be decided; else the fixtures, half of which are there because they cannot be.
#[test]
fn what_people_wrote_is_read_as_makepkg_says() {
    let own = std::env::var_os("VIETER_TEST_PKGBUILD_DIR");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pkgbuilds");
    let texts = pkgbuilds_below(own.as_ref().map_or(&fixtures, Path::new));
    let tally = compare_all(&texts);
    assert!(tally.valid > 0 && tally.wrong.is_empty());
    if own.is_some() {
        assert!(tally.decided * 10 >= tally.valid_without_pkgver * 9, "fewer than nine in ten were decided");
    } else {
        assert!(tally.decided * 2 > tally.valid_without_pkgver, "hardly any was decided");
    }
}
