//! What the operator sees: log lines, errors, progress. Results go to standard output, everything else to standard error.
//!
//! Colours are for terminals: into files, pipes and journals goes plain text, and `NO_COLOR` switches them off anywhere.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use seislake_lakehouse::sentence;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::log_lines::LogLines;

/// What is logged where nobody asks for more or less.
const LOG_LEVEL: &str = "warn";
/// Slow statements of the catalog's database are not for the operator: what fails comes back as an error.
const LOG_FILTER: &str = "sqlx=error";

/// What `--log-level` and `SEISLAKE_LOG` mean: a level for all, or filters by module.
pub(crate) fn log_filter(text: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |level: &str| LEVELS.contains(&level.trim().to_ascii_lowercase().as_str());
    let understood = |part: &str| match part.split_once('=') {
        Some((module, level)) => !module.trim().is_empty() && known(level),
        None => known(part),
    };
    if let Some(part) = text.split(',').find(|part| !understood(part)) {
        return Err(format!(
            "\"{part}\" is neither a level ({}) nor a filter such as seislake_streams=debug",
            LEVELS.join(", ")
        ));
    }
    EnvFilter::try_new(format!("{LOG_FILTER},{text}")).map_err(|error| error.to_string())
}

/// The log, once it is started.
static LOG: OnceLock<LogLines> = OnceLock::new();

/// Log lines go to standard error, see [`crate::log_lines`].
pub(crate) fn start_logging(level: Option<&str>) {
    let filter = log_filter(level.unwrap_or(LOG_LEVEL)).unwrap_or_default();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = LOG.get_or_init(|| LogLines::start(io::stderr()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .with_writer(move || lines.clone())
        // A line that cannot be written is not worth the work that it tells of: without this the library panics.
        .log_internal_errors(false)
        .init();
}

/// Before the last words of the process: log lines that wait are written, if that does not take long.
pub(crate) fn finish_logging() {
    if let Some(lines) = LOG.get() {
        lines.finish();
    }
}

/// One line: what was attempted and why it failed.
pub(crate) fn print_error(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "error: {}", sentence(error));
}

/// Who read standard output has closed it, as `head` does: no error, but nothing more is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of standard output has left")]
pub(crate) struct ReaderLeft;

impl ReaderLeft {
    /// Whether that is why a command ended.
    pub(crate) fn ended(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause.is::<Self>() || wrapped.is_some_and(|inner| inner.is::<Self>())
        })
    }
}

/// Standard output as results are written to it.
#[derive(Debug)]
pub(crate) struct StandardOutput(io::Stdout);

impl StandardOutput {
    pub(crate) fn new() -> Self {
        Self(io::stdout())
    }
}

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(reader_left)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(reader_left)
    }
}

fn reader_left(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { io::Error::other(ReaderLeft) } else { error }
}

/// Writes a result to standard output.
pub(crate) fn print_result(text: &str) -> anyhow::Result<()> {
    let mut out = StandardOutput::new();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}

/// Writes a result as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_result(&format!("{}\n", serde_json::to_string(value)?))
}

/// Columns of the terminal that shows standard output; `None` where it goes elsewhere.
pub(crate) fn result_columns() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| terminal.size_checked()).flatten().map(|(_, columns)| usize::from(columns))
}

/// A line for the operator on standard error.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A line of a server for the operator. It goes the way of the log: a standard error that nobody reads stops no server.
pub(crate) fn announce(text: &str) {
    match LOG.get() {
        Some(lines) => {
            let _ = lines.clone().write_all(format!("{text}\n").as_bytes());
        }
        None => tell(text),
    }
}

/// A progress bar over bytes on standard error, drawn only on a terminal.
pub(crate) fn bytes_progress(total: u64) -> ProgressBar {
    progress(total, "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta}")
}

/// A progress bar over seconds of data.
pub(crate) fn data_progress(total_s: u64) -> ProgressBar {
    progress(total_s, "{bar:30} {pos}/{len} s of data {msg}")
}

/// A progress bar over days.
pub(crate) fn days_progress() -> ProgressBar {
    progress(0, "{bar:30} {pos}/{len} days ETA {eta} {msg}")
}

/// A progress bar over tables.
pub(crate) fn tables_progress(total: u64) -> ProgressBar {
    progress(total, "{bar:30} {pos}/{len} tables {elapsed} {msg}")
}

/// A progress bar over messages between stages; there are more of them as the work goes on.
pub(crate) fn messages_progress() -> ProgressBar {
    progress(0, "{msg} {bar:30} {pos}/{len} messages {elapsed}")
}

/// Bytes written of which nobody knows yet how many there will be.
pub(crate) fn written_progress() -> ProgressBar {
    progress(0, "{msg} {binary_bytes} {binary_bytes_per_sec} {elapsed}")
}

/// Work without a number.
pub(crate) fn spinner() -> ProgressBar {
    progress(0, "{msg} {elapsed}")
}

fn progress(total: u64, template: &str) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(4)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_known_behind_every_context() {
        let wrapped = || io::Error::other(ReaderLeft);
        let as_context = anyhow::Error::from(wrapped()).context("cannot write the export");
        assert!(ReaderLeft::ended(&as_context));
        assert!(ReaderLeft::ended(&ReaderLeft.into()));
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(ReaderLeft::ended(&reader_left(broken).into()));
        // A connection to an object store that broke is an error.
        let elsewhere = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(!ReaderLeft::ended(&elsewhere));
    }

    #[test]
    fn levels_and_filters_are_understood_and_others_refused() {
        for good in ["warn", "INFO", "off", "debug", "trace", "seislake_streams=debug,warn", "sqlx=trace"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "seislake=loud", "=", "warn,=info", "", "info,,"] {
            assert!(log_filter(bad).is_err(), "{bad}");
        }
    }
}
