//! The command line.

use crate::rest::Url;
use crate::sample;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use units::Delay;

/// Ask the real engines what they do
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "URL is http://HOST:PORT of Flink's REST interface, or HOST:PORT. Times are numbers with ms or s.\n\
                  Answers go to standard output, one JSON line each; trouble to standard error. Exit code 1 means that \
                  it did not come true, 2 that the command line is wrong."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Wait until a cluster is complete, and print what it says of itself
    #[command(
        after_help = "Example:\n  gauge probe flink http://10.0.0.2:8081 --task-managers 1 --slots 32 --timeout 90s\n\n\
                            Prints {\"overview\": ..., \"taskmanagers\": ...} with the answers of /overview and \
                            /taskmanagers."
    )]
    Probe(Probe),
    /// Wait for a job's state, and print what the job is
    #[command(
        after_help = "Example:\n  gauge job http://10.0.0.2:8081 --name people-counting --until running\n\n\
                            Of several jobs with the name, it is the one that started last. `running` means that all \
                            subtasks of all vertices run.\nA job that failed, or that restarts again and again, ends the \
                            wait with its root exception.\nPrints {\"job\", \"name\", \"state\", \"parallelism\", \
                            \"vertices\": [{\"name\", \"parallelism\", \"running\"}], \"restarts\", \"checkpoints\": \
                            {\"completed\", \"failed\"}}."
    )]
    Job(Job),
    /// Cancel a job, or stop it with a savepoint, and wait for its end
    #[command(
        after_help = "Examples:\n  gauge cancel http://10.0.0.2:8081 --name people-counting\n  gauge cancel \
                            http://10.0.0.2:8081 --name people-counting --savepoint file:///opt/flink/savepoints\n\n\
                            A job that had ended by itself, or was cancelled before, is told as it is and no error; one \
                            that failed is.\nPrints the line of `gauge job`, with \"savepoint\" where one was made."
    )]
    Cancel(Cancel),
    /// Append a cluster's metrics to a CSV file until SIGTERM
    #[command(after_help = sample::help())]
    Sample(Sample),
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Apache Flink, by its REST interface
    Flink,
}

#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// The engine
    pub(crate) engine: Engine,
    /// Where it answers
    pub(crate) url: Url,
    /// Task managers that must have come
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) task_managers: u32,
    /// Slots that all of them together must offer
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) slots: u32,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Job {
    /// Where the cluster answers
    pub(crate) url: Url,
    /// The job's name
    #[arg(long)]
    pub(crate) name: String,
    /// The state to wait for
    #[arg(long, value_name = "STATE", default_value = "running")]
    pub(crate) until: Until,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) timeout: Duration,
}

/// States of a job that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// All subtasks of all vertices run
    Running,
    /// It came to its end
    Finished,
    /// It was cancelled
    Canceled,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// Where the cluster answers
    pub(crate) url: Url,
    /// The job's name
    #[arg(long)]
    pub(crate) name: String,
    /// Make a savepoint below this folder (as the cluster sees it) and stop
    #[arg(long, value_name = "DIR")]
    pub(crate) savepoint: Option<String>,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// The engine
    pub(crate) engine: Engine,
    /// Where it answers
    pub(crate) url: Url,
    /// Time from sample to sample; no shorter than the cluster's `metrics.fetcher.update-interval`, 10 s if not set,
    /// else the same figures are written several times
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) every: Duration,
    /// The file; made with its folder if missing, appended to if there
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<Delay>().map_err(|error| error.to_string())?.duration();
    if time > Duration::from_secs(24 * 3600) { Err("give at most 86400s".to_owned()) } else { Ok(time) }
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time < Duration::from_millis(100) { Err("give at least 100ms".to_owned()) } else { Ok(time) }
}
