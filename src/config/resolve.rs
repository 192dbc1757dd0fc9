//! From raw environment variables to the text of each setting, and where it came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::PREFIX;
use super::settings::{VARIABLES, Values, Variable};

/// What configuration is read from. A map in tests.
pub trait Environment {
    /// All environment variables.
    fn variables(&self) -> Vec<(OsString, OsString)>;
    /// The contents of a file that a `_FILE` variable names.
    ///
    /// # Errors
    /// When the file cannot be read, or is not UTF-8 text.
    fn read_file(&self, path: &Path) -> io::Result<String>;
}

/// The environment of this process.
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// Where the value of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// Its environment variable.
    Variable,
    /// The file that its `_FILE` variable names.
    File(String),
}

/// One thing that is wrong with the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The environment variable.
    pub variable: String,
    /// What is wrong with it, and with which value (never a secret's).
    pub message: String,
}

/// The text of every setting that has one.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub values: Values,
    pub sources: BTreeMap<&'static str, Source>,
    pub warnings: Vec<String>,
    pub problems: Vec<Problem>,
}

impl Resolved {
    fn problem(&mut self, variable: &str, message: impl Into<String>) {
        self.problems.push(Problem { variable: variable.to_owned(), message: message.into() });
    }

    fn set(&mut self, variable: &Variable, value: String, source: Source) {
        if !value.is_empty() {
            self.values.insert(variable.field.to_owned(), value);
            self.sources.insert(variable.field, source);
        }
    }
}

/// Overlays the environment on the defaults.
pub(super) fn resolve(environment: &dyn Environment) -> Resolved {
    let mut resolved = Resolved::default();
    let ours = our_variables(environment, &mut resolved);
    for variable in VARIABLES {
        resolve_one(variable, &ours, environment, &mut resolved);
    }
    resolved
}

/// The text of one setting, whatever is wrong with the others.
pub(super) fn only(field: &str, environment: &dyn Environment) -> Result<Option<String>, Problem> {
    let mut resolved = Resolved::default();
    let ours = our_variables(environment, &mut resolved);
    for variable in VARIABLES.iter().filter(|variable| variable.field == field) {
        let names = [variable.name(), format!("{}_FILE", variable.name())];
        resolved.problems.retain(|problem| names.contains(&problem.variable));
        resolve_one(variable, &ours, environment, &mut resolved);
    }
    match resolved.problems.pop() {
        Some(problem) => Err(problem),
        None => Ok(resolved.values.remove(field)),
    }
}

fn resolve_one(
    variable: &Variable,
    ours: &BTreeMap<String, String>,
    environment: &dyn Environment,
    resolved: &mut Resolved,
) {
    let name = variable.name();
    let file_name = format!("{name}_FILE");
    if let Some(default) = variable.default {
        resolved.set(variable, default.to_owned(), Source::Default);
    }
    match (ours.get(&name), ours.get(&file_name)) {
        (Some(_), Some(_)) => {
            resolved.problem(&name, format!("{name} and {file_name} are both set; unset one of them"))
        }
        (Some(value), None) => resolved.set(variable, value.clone(), Source::Variable),
        (None, Some(path)) => match environment.read_file(Path::new(path)) {
            Ok(contents) => {
                resolved.set(variable, without_newline(contents), Source::File(path.clone()));
            }
            Err(e) => resolved.problem(&file_name, format!("cannot read {path}: {e}")),
        },
        (None, None) => {}
    }
}

/// Removes one trailing line end, as editors and `echo` leave it.
fn without_newline(mut contents: String) -> String {
    if contents.ends_with('\n') {
        contents.pop();
        if contents.ends_with('\r') {
            contents.pop();
        }
    }
    contents
}

/// The `VIETER_` variables that are set, after the unknown ones were sorted out.
fn our_variables(environment: &dyn Environment, resolved: &mut Resolved) -> BTreeMap<String, String> {
    let mut ours = BTreeMap::new();
    for (name, value) in environment.variables() {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(PREFIX) || value.is_empty() {
            continue;
        }
        match judge_name(&name) {
            Name::Known => match value.into_string() {
                Ok(value) => drop(ours.insert(name, value)),
                Err(_) => resolved.problem(&name, "is not valid UTF-8"),
            },
            Name::SomebodyElses => {}
            Name::Misspelt(suggestion) => {
                resolved.problem(&name, format!("no such setting; did you mean {suggestion}?"))
            }
            Name::Unknown => {
                resolved.warnings.push(format!("{name} is no setting of vieter and is ignored"));
            }
        }
    }
    ours
}

enum Name {
    Known,
    SomebodyElses,
    Misspelt(String),
    Unknown,
}

fn judge_name(name: &str) -> Name {
    let known = || VARIABLES.iter().map(Variable::name).flat_map(|n| [format!("{n}_FILE"), n]);
    if known().any(|k| k == name) {
        return Name::Known;
    }
    if SERVER_VARIABLES.contains(&name) || is_service_variable(name) {
        return Name::SomebodyElses;
    }
    let nearest = known()
        .map(|k| (strsim::damerau_levenshtein(&k.to_ascii_uppercase(), &name.to_ascii_uppercase()), k))
        .min();
    match nearest {
        Some((distance, suggestion)) if distance <= 2 => Name::Misspelt(suggestion),
        _ => Name::Unknown,
    }
}

/// Settings of the Vieter server, of all its versions: people keep one file for both.
const SERVER_VARIABLES: &[&str] = &[
    "VIETER_API_UPDATE_FREQUENCY",
    "VIETER_ARCH",
    "VIETER_COLLECT_METRICS",
    "VIETER_DATA_DIR",
    "VIETER_DEFAULT_ARCH",
    "VIETER_DOWNLOAD_DIR",
    "VIETER_GLOBAL_SCHEDULE",
    "VIETER_IMAGE_REBUILD_FREQUENCY",
    "VIETER_LOG_FILE",
    "VIETER_LOG_REMOVAL_SCHEDULE",
    "VIETER_MAX_CONCURRENT_BUILDS",
    "VIETER_MAX_LOG_AGE",
    "VIETER_PKG_DIR",
    "VIETER_POLLING_FREQUENCY",
    "VIETER_REPO_DIR",
];

/// Whether Kubernetes makes such a variable for a Service called `vieter` or `vieter-...`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_service_variable(name: &str) -> bool {
    let name = &name[PREFIX.len() - 1..];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    name.rsplit_once("_PORT_").is_some_and(|(_, port)| {
        let mut parts = port.split('_');
        parts.next().is_some_and(number)
            && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
            && parts.next().is_none()
    })
}
