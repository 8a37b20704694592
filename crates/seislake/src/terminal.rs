//! What the operator sees: log lines, errors, progress. Results go to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;

/// Slow statements of the catalog's database are not for the operator: what fails comes back as an error.
const LOG_FILTER: &str = "warn,sqlx=error";

/// Log lines go to standard error; `SEISLAKE_LOG` sets the filter (`info`, `seislake_streams=debug`, …).
pub(crate) fn start_logging() {
    let filter = EnvFilter::try_from_env("SEISLAKE_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// One line: what was attempted and the chain of causes; causes that repeat what is said already are left out.
pub(crate) fn print_error(error: &anyhow::Error) {
    let mut message = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let said = message.contains(&text) || (!last.is_empty() && text.contains(&last));
        if said {
            continue;
        }
        last.clone_from(&text);
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&text);
    }
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

/// Writes a result to standard output. A closed pipe is the reader's decision, not an error.
pub(crate) fn print_result(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A line for the operator on standard error.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A progress bar over bytes on standard error, drawn only on a terminal.
pub(crate) fn bytes_progress(total: u64) -> ProgressBar {
    progress(total, "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} {msg}")
}

/// A progress bar over seconds of data.
pub(crate) fn data_progress(total_s: u64) -> ProgressBar {
    progress(total_s, "{bar:30} {pos}/{len} s of data {msg}")
}

/// A progress bar over days.
pub(crate) fn days_progress(total: u64) -> ProgressBar {
    progress(total, "{bar:30} {pos}/{len} days ETA {eta} {msg}")
}

fn progress(total: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
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
