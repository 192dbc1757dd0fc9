//! The types that setting values are read into. Each one says what it accepts in its error.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use globset::{Glob, GlobMatcher};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use url::Url;

/// Makes a type that implements [`FromStr`] readable by serde from a string.
macro_rules! deserialize_from_str {
    ($($ty:ty),+ $(,)?) => {$(
        impl<'de> Deserialize<'de> for $ty {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

deserialize_from_str!(
    Switch,
    Period,
    Size,
    Count,
    Cpus,
    ServerAddress,
    LogLevel,
    LogFormat,
    PlanFormat,
    PullPolicy,
    Patterns,
    Force,
    Shard,
    Schedule,
    Timezone,
);

/// A yes-or-no setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Self(true)),
            "false" | "no" | "off" | "0" => Ok(Self(false)),
            _ => Err("expected true or false".into()),
        }
    }
}

/// A length of time: a number with a unit (`90s`, `2h 30m`, `7days`) or a bare number of seconds.
/// Where a setting says so, `0` means that there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// The length as a limit: `None` for zero, which means "no limit".
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => humantime::parse_duration(text)
                .map_err(|e| format!("expected a length of time such as 90s, 30m or 2h: {e}"))?,
        };
        // A deadline is added to "now": a thousand years is more than any clock type minds.
        if parsed > Duration::from_secs(1000 * 365 * 24 * 3600) {
            return Err("expected a length of time of less than a thousand years".into());
        }
        Ok(Self(parsed))
    }
}

/// A number of bytes: `512M`, `4GiB`, or a bare number. `K`, `M`, `G` count in powers of 1024, as in
/// `docker run --memory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The size as a limit: `None` for zero, which means "no limit".
    pub fn limit(self) -> Option<u64> {
        (self.0 != 0).then_some(self.0)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let expanded = match text.chars().last() {
            Some(unit @ ('k' | 'K' | 'm' | 'M' | 'g' | 'G' | 't' | 'T')) => {
                format!("{}{unit}iB", &text[..text.len() - 1])
            }
            _ => text.to_owned(),
        };
        let size: bytesize::ByteSize =
            expanded.parse().map_err(|_| "expected a size such as 512M or 4GiB".to_owned())?;
        match i64::try_from(size.as_u64()) {
            Ok(_) => Ok(Self(size.as_u64())),
            Err(_) => Err("expected a size of less than 8 EiB".into()),
        }
    }
}

/// A whole number of things, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) | Err(_) => Err("expected a whole number of at least 1".into()),
            Ok(number) => Ok(Self(number)),
        }
    }
}

/// A number of processors, possibly a fraction (`1.5`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cpus(pub f64);

impl Cpus {
    /// As the Docker API counts them: `NanoCpus`, in 10^-9 of a processor.
    pub fn nano(self) -> i64 {
        (self.0 * 1e9) as i64
    }

    /// How many jobs make sense on that many processors.
    pub fn jobs(self) -> u32 {
        self.0.ceil() as u32
    }
}

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(cpus) if (0.01..=65536.0).contains(&cpus) => Ok(Self(cpus)),
            _ => Err("expected a number of processors such as 2 or 1.5".into()),
        }
    }
}

/// Where packages are published and looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// A Vieter server of any version.
    Http(Url),
    /// A static pacman repository on this machine: `<directory>/<repo>/<arch>/`.
    Directory(PathBuf),
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WANTED: &str = "expected http://..., https://... or file:///absolute/directory";
        let url = Url::parse(text).map_err(|e| format!("{WANTED}: {e}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or password".into());
        }
        match url.scheme() {
            "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
                Err("must not contain a query or a fragment".into())
            }
            "http" | "https" => Ok(Self::Http(url)),
            "file" => match url.to_file_path() {
                Ok(path) if path.parent().is_some() => Ok(Self::Directory(path)),
                _ => Err(WANTED.into()),
            },
            _ => Err(WANTED.into()),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Directory(path) => write!(f, "file://{}", path.display()),
        }
    }
}

/// A secret: never shown by `Debug`, and wiped from memory when dropped.
#[derive(Clone, Deserialize)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself. Only for the place where it is sent.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Defines an enumeration whose variants are chosen by name, in any case.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("expected one of: {}", [$($text),+].join(", "))),
                }
            }
        }
    };
}

choice! {
    /// The least important log lines that are written.
    LogLevel {
        /// Only what failed.
        Error = "error",
        /// And what may need a look.
        Warn = "warn",
        /// And what happened, and the output of builds.
        Info = "info",
        /// And what was asked of Docker, Git and the package server.
        Debug = "debug",
        /// Everything, libraries included.
        Trace = "trace",
    }
}

choice! {
    /// How log lines look.
    LogFormat {
        /// `Text` on a terminal, `Json` otherwise.
        Auto = "auto",
        /// One JSON object a line.
        Json = "json",
        /// Lines for people.
        Text = "text",
    }
}

choice! {
    /// How `vieter plan` prints the plan.
    PlanFormat {
        /// `Table` on a terminal, `Json` otherwise.
        Auto = "auto",
        /// One JSON document.
        Json = "json",
        /// A table for people.
        Table = "table",
    }
}

choice! {
    /// When the base image is pulled.
    PullPolicy {
        /// Before each use of it; the local image is used, with a warning, when that fails.
        Always = "always",
        /// Only when it is not there.
        Missing = "missing",
        /// Not at all.
        Never = "never",
    }
}

/// Shell patterns over package bases, separated by commas or blanks: `linux-*, foo`.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<GlobMatcher>);

impl Patterns {
    /// Whether one of the patterns matches `name`.
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.is_match(name))
    }
}

impl FromStr for Patterns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        let globs = words.map(|word| match Glob::new(word) {
            Ok(glob) => Ok(glob.compile_matcher()),
            Err(e) => Err(format!("{word}: {}", e.kind())),
        });
        let globs: Vec<GlobMatcher> = globs.collect::<Result<_, _>>()?;
        if globs.is_empty() { Err("it contains no name".into()) } else { Ok(Self(globs)) }
    }
}

/// Which package bases are built although the package server has them.
#[derive(Debug, Clone)]
pub enum Force {
    /// None, or all.
    Everything(bool),
    /// Those that match.
    Only(Patterns),
}

impl Force {
    /// Whether the package base `name` is to be built in any case.
    pub fn applies_to(&self, name: &str) -> bool {
        match self {
            Self::Everything(all) => *all,
            Self::Only(patterns) => patterns.matches(name),
        }
    }
}

impl FromStr for Force {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Switch>() {
            Ok(Switch(all)) => Ok(Self::Everything(all)),
            Err(_) => text.parse().map(Self::Only),
        }
    }
}

/// One part of a list that several runs share: `index` of `count`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 0.
    pub index: u32,
    /// How many parts there are.
    pub count: u32,
}

/// More runs than that share no list.
const MOST_SHARDS: u32 = 10_000;

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(i, n)| Some((i.trim().parse::<u32>().ok()?, n.trim().parse::<u32>().ok()?)));
        match numbers {
            Some((_, count)) if count > MOST_SHARDS => {
                Err(format!("at most {MOST_SHARDS} shards are possible"))
            }
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err("expected i/n with i from 0 to n-1, such as 0/3".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// When runs start: a cron expression of five fields (minute, hour, day of month, month, day of week).
#[derive(Debug, Clone)]
pub struct Schedule(pub croner::Cron);

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Six fields begin with the second: `0 3 * * * *` would be every hour.
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            format!("expected a cron expression of five fields such as `0 3 * * *`, or `@daily`: {error}")
        })?;
        Ok(Self(cron))
    }
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone)]
pub struct Timezone(pub jiff::tz::TimeZone);

impl FromStr for Timezone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match jiff::tz::TimeZone::get(text) {
            Ok(zone) => Ok(Self(zone)),
            Err(_) => Err("expected the name of a time zone such as Europe/Brussels or UTC".into()),
        }
    }
}
