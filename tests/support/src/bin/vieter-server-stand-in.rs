//! Runs the stand-in package server until SIGINT or SIGTERM, for scripts and benchmarks.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use vieter_test_support::vieter_server::{Builder, Generation, Target, VieterServer};

const USAGE: &str = "\
Usage: vieter-server-stand-in [OPTION VALUE]...

  --generation 0.2|0.4|0.5|0.6  which server to be (0.6)
  --port PORT                   any free port unless set
  --all-addresses yes|no        listen on every address instead of 127.0.0.1 (no)
  --api-key KEY                 the key to ask for (secret)
  --default-arch ARCH           where packages of `any` are stored (x86_64)
  --repos FILE                  the list: an array of entries, or the object of /api/repos
  --package REPO:FILE           a package archive to start with; may be repeated

Says its URL on stdout when it is ready.";

#[derive(Default)]
struct Options {
    generation: Option<Generation>,
    targets: Vec<Target>,
    packages: Vec<(String, Vec<u8>)>,
    settings: Vec<Box<dyn FnOnce(Builder) -> Builder>>,
}

fn main() -> ExitCode {
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("listen for signals");
    let server = match options(std::env::args().skip(1)).and_then(start) {
        Ok(server) => server,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    println!("{}", server.url());
    signals.forever().next();
    // Returning drops the server, which removes its packages.
    ExitCode::SUCCESS
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name}: a value is missing"))?;
        set(&mut options, &name, value).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: String) -> Result<(), String> {
    let settings = &mut options.settings;
    match name {
        "--generation" => options.generation = Some(generation(&value)?),
        "--port" => {
            let port = value.parse().map_err(|_| "not a port")?;
            settings.push(Box::new(move |builder| builder.port(port)));
        }
        "--all-addresses" if value == "yes" => settings.push(Box::new(Builder::on_all_addresses)),
        "--all-addresses" if value == "no" => {}
        "--api-key" => settings.push(Box::new(move |builder| builder.api_key(&value))),
        "--default-arch" => settings.push(Box::new(move |builder| builder.default_arch(&value))),
        "--repos" => options.targets = targets(&value)?,
        "--package" => {
            let (repo, file) = value.split_once(':').ok_or("not REPO:FILE")?;
            let archive = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            options.packages.push((repo.to_string(), archive));
        }
        _ => return Err("not understood".to_string()),
    }
    Ok(())
}

fn generation(text: &str) -> Result<Generation, String> {
    match text {
        "0.2" => Ok(Generation::Repos02),
        "0.4" => Ok(Generation::V1 { minor: 4 }),
        "0.5" => Ok(Generation::V1 { minor: 5 }),
        "0.6" => Ok(Generation::V1 { minor: 6 }),
        _ => Err("no such generation".to_string()),
    }
}

/// The entries of a list, whatever their ids are.
fn targets(file: &str) -> Result<Vec<Target>, String> {
    let read = || -> std::io::Result<Vec<Target>> {
        let entries = match serde_json::from_str(&std::fs::read_to_string(file)?)? {
            Value::Object(entries) => entries.into_iter().map(|(_, entry)| entry).collect(),
            entries => entries,
        };
        Ok(serde_json::from_value(entries)?)
    };
    read().map_err(|error| format!("{file}: {error}"))
}

fn start(options: Options) -> Result<VieterServer, String> {
    let generation = options.generation.unwrap_or(Generation::V1 { minor: 6 });
    let builder = VieterServer::builder(generation).api_key("secret");
    let builder = options.settings.into_iter().fold(builder, |builder, set| set(builder));
    let server = builder.start().map_err(|error| error.to_string())?;
    server.set_targets(&options.targets);
    for (repo, archive) in &options.packages {
        server.add_package(repo, archive);
    }
    Ok(server)
}
