//! Configuration: environment variables in, a checked [`Config`] or every problem at once out.

#[cfg(test)]
pub(crate) mod made_up;
mod resolve;
mod settings;
mod table;
mod values;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

pub use resolve::{Environment, Problem, ProcessEnvironment, Source};
pub use settings::{Build, Docker, Image, Nightly, Output, Plan, Selection, Server, VARIABLES, Variable};
pub use table::{effective, reference};
pub use values::{
    Count, Cpus, Force, LogFormat, LogLevel, Patterns, Period, PlanFormat, PullPolicy, Schedule, Secret,
    ServerAddress, Shard, Size, Switch, Timezone,
};

/// What the names of all settings begin with.
pub const PREFIX: &str = "VIETER_";

/// Everything the program was told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Package server and list.
    pub server: Server,
    /// The Docker daemon.
    pub docker: Docker,
    /// Builder image.
    pub image: Image,
    /// Builds and their limits.
    pub build: Build,
    /// What is built.
    pub selection: Selection,
    /// Looking before building.
    pub plan: Plan,
    /// Logs, reports, locking.
    pub output: Output,
    /// The nightly container.
    pub nightly: Nightly,
    /// Things that look wrong but do not keep the program from working.
    pub warnings: Vec<String>,
}

/// All that is wrong with the environment.
#[derive(Debug)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems) = self;
        let plural = if problems.len() == 1 { "setting is" } else { "settings are" };
        write!(f, "{} {plural} wrong; nothing was done", problems.len())?;
        for Problem { variable, message } in problems {
            write!(f, "\n  {variable}: {message}")?;
        }
        write!(f, "\n`vieter config` shows what is in force; docs/configuration.md lists every setting.")
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks the whole configuration.
    ///
    /// # Errors
    /// All problems at once, each with the name of its variable.
    pub fn load(environment: &dyn Environment) -> Result<Self, ConfigError> {
        let mut resolved = resolve::resolve(environment);
        check_values(&mut resolved);
        check_server(&mut resolved);
        indexed_job_shard(environment, &mut resolved);
        if !resolved.problems.is_empty() {
            return Err(ConfigError(resolved.problems));
        }
        let values = &resolved.values;
        let read = || -> envy::Result<Self> {
            Ok(Self {
                server: settings::section(values)?,
                docker: settings::section(values)?,
                image: settings::section(values)?,
                build: settings::section(values)?,
                selection: settings::section(values)?,
                plan: settings::section(values)?,
                output: settings::section(values)?,
                nightly: settings::section(values)?,
                warnings: resolved.warnings.clone(),
            })
        };
        // Every value was checked by itself above, so this names a setting that is required.
        read().map_err(|e| ConfigError(vec![Problem { variable: PREFIX.into(), message: e.to_string() }]))
    }
}

/// Where `vieter cron` notes what it does, when that was set. The health check needs nothing else, and is not
/// to be led astray by what is wrong with other settings.
///
/// # Errors
/// What is wrong with this setting.
pub fn status_file(environment: &dyn Environment) -> Result<Option<PathBuf>, Problem> {
    Ok(resolve::only("status_file", environment)?.map(PathBuf::from))
}

/// Checks each value against its type.
fn check_values(resolved: &mut resolve::Resolved) {
    for variable in VARIABLES {
        let Some(value) = resolved.values.get(variable.field) else { continue };
        if let Err(error) = settings::check_value(variable.field, value) {
            let message = match (error, variable.secret) {
                (_, true) => "is not acceptable".to_owned(),
                // envy's own text repeats the variable and value after this phrase.
                (envy::Error::Custom(why), false) => {
                    let why = why.split(" while parsing value").next().unwrap_or(&why).to_owned();
                    format!("{why} (it is `{}`)", without_userinfo(value))
                }
                (error, false) => error.to_string(),
            };
            resolved.problems.push(Problem { variable: variable.name(), message });
        }
    }
}

/// An address without the password that somebody may have put into it.
fn without_userinfo(value: &str) -> String {
    match value.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://***@{rest}"),
        None => value.to_owned(),
    }
}

/// What the package server's kind makes necessary.
fn check_server(resolved: &mut resolve::Resolved) {
    let set = |field: &str| resolved.values.contains_key(field);
    let bad_already = |name: &str| resolved.problems.iter().any(|p| p.variable.starts_with(name));
    let missing = |name: &str, why: &str, file: bool| {
        if !bad_already(name) {
            let or_file = if file { format!(" (or {name}_FILE)") } else { String::new() };
            Some(Problem { variable: name.into(), message: format!("{why}{or_file}") })
        } else {
            None
        }
    };
    let mut problems = Vec::new();
    match resolved.values.get("address").map(|a| a.parse::<ServerAddress>()) {
        None => problems.extend(missing(
            "VIETER_ADDRESS",
            "is required: the URL of the Vieter server, or file:///directory",
            false,
        )),
        Some(Ok(ServerAddress::Http(_))) if !set("api_key") => problems.extend(missing(
            "VIETER_API_KEY",
            "is required for a Vieter server: the server's API key",
            true,
        )),
        Some(Ok(ServerAddress::Directory(_))) if !set("repos_file") => problems.extend(missing(
            "VIETER_REPOS_FILE",
            "is required with a file:// address, since a directory keeps no list of repositories",
            false,
        )),
        Some(_) => {}
    }
    if let Some(key) = resolved.values.get("api_key")
        && !key.bytes().all(|b| (0x21..0x7f).contains(&b))
    {
        problems.push(Problem {
            variable: "VIETER_API_KEY".into(),
            message: "contains blanks or characters that cannot be in an HTTP header".into(),
        });
    }
    resolved.problems.extend(problems);
}

/// Takes the shard of a Kubernetes Indexed Job from `JOB_COMPLETION_INDEX`
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>).
fn indexed_job_shard(environment: &dyn Environment, resolved: &mut resolve::Resolved) {
    let Some(count) = resolved.values.get("shard_count").and_then(|c| c.parse::<NonZeroU32>().ok()) else {
        return;
    };
    let mut problem = |variable: &str, message: String| {
        resolved.problems.push(Problem { variable: variable.into(), message });
    };
    if resolved.values.contains_key("shard") {
        problem("VIETER_SHARD_COUNT", "VIETER_SHARD is set too; unset one of them".into());
        return;
    }
    let index = environment
        .variables()
        .into_iter()
        .find(|(name, _)| name == "JOB_COMPLETION_INDEX")
        .map(|(_, value)| value.to_string_lossy().into_owned());
    match index.as_deref().map(str::parse::<u32>) {
        Some(Ok(index)) if index < count.get() => {
            resolved.values.insert("shard".into(), format!("{index}/{count}"));
            resolved.sources.insert("shard", Source::Variable);
        }
        Some(_) => problem(
            "JOB_COMPLETION_INDEX",
            format!("expected a number below {count} (it is `{}`)", index.unwrap_or_default()),
        ),
        None => problem(
            "VIETER_SHARD_COUNT",
            "needs JOB_COMPLETION_INDEX, which an Indexed Job sets; elsewhere use VIETER_SHARD".into(),
        ),
    }
}

#[cfg(test)]
mod tests;
