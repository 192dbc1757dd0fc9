//! The `vieter` program: parse, set up, run, flush, exit status.

#![forbid(unsafe_code)]

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use jiff::Timestamp;
use vieter::cli::{Cli, Command};
use vieter::config::{self, Config, ConfigError, PlanFormat, Problem, ProcessEnvironment};
use vieter::doctor::{self, Findings};
use vieter::event::{Events, Observer};
use vieter::exit_status::{self, ExitStatus};
use vieter::nightly::{self, Health, Nights, Purpose};
use vieter::plan;
use vieter::report::progress::Progress;
use vieter::report::{self, Surroundings};
use vieter::run::Run;
use vieter::shutdown::Shutdown;
use vieter::telemetry::{self, Format, LogObserver, Telemetry};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let status = exit_status::of(|| match cli.command {
        Command::Config => show_config(),
        Command::Healthcheck => healthcheck(),
        Command::Build | Command::Plan | Command::Doctor | Command::Cron { .. } => with_config(cli.command),
    });
    status.into()
}

/// Help and version are no errors; everything else that clap does not like is bad usage.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody to tell when standard error is closed.
    let _ = error.print();
    if error.use_stderr() { ExitStatus::Usage.into() } else { ExitCode::SUCCESS }
}

fn bad_config(error: &ConfigError) -> ExitStatus {
    eprintln!("vieter: {error}");
    ExitStatus::Usage
}

fn show_config() -> ExitStatus {
    match config::effective(&ProcessEnvironment) {
        Ok((text, warnings)) => {
            warnings.iter().for_each(|warning| eprintln!("vieter: {warning}"));
            // A reader that has seen enough (`| head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitStatus::Success
        }
        Err(error) => bad_config(&error),
    }
}

/// Needs no valid configuration but the place of the status file: what is wrong with the rest is the
/// scheduler's to report.
fn healthcheck() -> ExitStatus {
    let health = match config::status_file(&ProcessEnvironment) {
        Ok(path) => {
            let path = path.unwrap_or_else(nightly::default_path);
            Health::judge(&path, Purpose::of_this_container(), Timestamp::now())
        }
        Err(Problem { variable, message }) => {
            Health { healthy: false, message: format!("{variable}: {message}") }
        }
    };
    println!("{}", health.message);
    if health.healthy { ExitStatus::Success } else { ExitStatus::SomeFailed }
}

fn with_config(command: Command) -> ExitStatus {
    let config = match Config::load(&ProcessEnvironment) {
        Ok(config) => config,
        Err(error) => return bad_config(&error),
    };
    let run_id = uuid::Uuid::now_v7().to_string();
    let format = Format::detect(config.output.log_format, &ProcessEnvironment);
    let progress = Progress::new(format);
    let sink = progress.sink();
    let level = config.output.log_level;
    let telemetry = telemetry::init(level, format, &run_id, sink, &ProcessEnvironment);
    let events = events(command, &config, &run_id, &telemetry, &progress);
    // Within the telemetry, so that what was measured before a panic is delivered.
    let status = exit_status::of(|| run(command, &config, &events, &run_id));
    // The observers hold instruments of the meter.
    drop(events);
    telemetry.shutdown();
    status
}

fn events(
    command: Command,
    config: &Config,
    run_id: &str,
    telemetry: &Telemetry,
    progress: &Progress,
) -> Events {
    let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(LogObserver::new(run_id))];
    observers.extend(telemetry.metrics());
    if command == Command::Build {
        // What only looks must leave the reports and logs of the last run alone, or of one in progress.
        observers.extend(report::observers(&config.output, Surroundings::new(&ProcessEnvironment)));
    }
    observers.extend(progress.observer());
    Events::new(observers)
}

fn show_findings(findings: &Findings) -> ExitStatus {
    let _ = std::io::stdout().write_all(findings.text().as_bytes());
    if findings.all_well() { ExitStatus::Success } else { ExitStatus::Unavailable }
}

async fn show_plan(config: &Config, run: Run<'_>, shutdown: &Shutdown) -> ExitStatus {
    let plan = tokio::select! {
        plan = run.plan() => plan,
        by = shutdown.stopped() => return ExitStatus::from(by),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            tracing::error!(hint = error.hint, "{}", error.message);
            return ExitStatus::from(error.kind);
        }
    };
    let table = match config.plan.plan_format {
        PlanFormat::Table => true,
        PlanFormat::Json => false,
        PlanFormat::Auto => std::io::stdout().is_terminal(),
    };
    let text = if table { plan::table(&plan) } else { format!("{:#}\n", plan::json(&plan)) };
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitStatus::Success
}

fn run(command: Command, config: &Config, events: &Events, run_id: &str) -> ExitStatus {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("the program cannot start its threads: {error}");
            return ExitStatus::Internal;
        }
    };
    let work = async {
        let deadline = config.build.run_timeout.limit().filter(|_| command == Command::Build);
        let shutdown = Shutdown::listen(deadline)?;
        match command {
            Command::Plan => Ok(show_plan(config, Run::new(config, events, run_id), &shutdown).await),
            Command::Doctor => {
                let findings = doctor::examine(config, run_id, events, &shutdown).await;
                Ok(findings.map_or_else(ExitStatus::from, |findings| show_findings(&findings)))
            }
            Command::Cron { .. } => Nights::new(config)?.keep(&shutdown).await,
            Command::Build | Command::Config | Command::Healthcheck => {
                let build = async {
                    let outcome = Run::new(config, events, run_id).build(&shutdown).await;
                    telemetry::finish_run(&tracing::Span::current(), &outcome);
                    Ok(outcome.exit_status())
                };
                tracing::Instrument::instrument(build, telemetry::run_span(run_id)).await
            }
        }
    };
    let result: std::io::Result<ExitStatus> = runtime.block_on(work);
    result.unwrap_or_else(|error| {
        tracing::error!("{error}");
        ExitStatus::Usage
    })
}
