//! Lines of the log on their way to standard error: who reads that slowly, or not at all, holds up nobody.
//!
//! ```text
//! any thread ─► bounded channel ─► one thread ─► standard error
//!                └─ full: the line is dropped and counted
//! ```
//! A line that cannot be written is dropped too: it is not worth the work that it tells of.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that wait: more than a burst of them.
const LINES_MAX: usize = 8192;
/// Bytes of them: a line may hold the plan of a statement.
const BYTES_MAX: u64 = 16 << 20;
/// How long the end of the process waits for lines that are not written yet.
const END_MAX: Duration = Duration::from_secs(1);
/// How often the end looks for them.
const END_STEP: Duration = Duration::from_millis(2);

/// The begin of the channel. What is written at once is a line.
#[derive(Clone, Debug)]
pub(crate) struct LogLines {
    lines: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes of lines that are not written yet.
    waiting: AtomicU64,
    /// Lines that were dropped and not told of yet.
    dropped: AtomicU64,
}

impl LogLines {
    /// Starts the thread that writes to `out`.
    pub(crate) fn start(out: impl Write + Send + 'static) -> Self {
        Self::holding(LINES_MAX, out)
    }

    fn holding(lines_max: usize, out: impl Write + Send + 'static) -> Self {
        let (lines, receiver) = sync_channel(lines_max);
        let counts = Arc::new(Counts::default());
        let of_thread = Arc::clone(&counts);
        // Without a thread all lines are dropped: the work goes on.
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&receiver, &of_thread, out));
        Self { lines, counts }
    }

    /// Waits until all lines are written, but not for long.
    pub(crate) fn finish(&self) {
        let began = Instant::now();
        let is_due = || {
            self.counts.waiting.load(Ordering::Acquire) > 0 || self.counts.dropped.load(Ordering::Acquire) > 0
        };
        while is_due() && began.elapsed() < END_MAX {
            thread::sleep(END_STEP);
        }
    }
}

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let size = line.len() as u64;
        let waiting = self.counts.waiting.fetch_add(size, Ordering::AcqRel);
        let is_taken = waiting < BYTES_MAX && self.lines.try_send(line.to_vec()).is_ok();
        if !is_taken {
            self.counts.dropped.fetch_add(1, Ordering::AcqRel);
            self.counts.waiting.fetch_sub(size, Ordering::AcqRel);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines as they come. How many were dropped is told where no other line waits.
fn write_lines(lines: &Receiver<Vec<u8>>, counts: &Counts, mut out: impl Write) {
    loop {
        let next = match lines.try_recv() {
            Ok(line) => Some(line),
            Err(TryRecvError::Empty) => {
                tell_dropped(counts, &mut out);
                lines.recv().ok()
            }
            Err(TryRecvError::Disconnected) => None,
        };
        let Some(line) = next else { return };
        let _ = out.write_all(&line).and_then(|()| out.flush());
        counts.waiting.fetch_sub(line.len() as u64, Ordering::AcqRel);
    }
}

fn tell_dropped(counts: &Counts, out: &mut impl Write) {
    let count = counts.dropped.load(Ordering::Acquire);
    if count > 0 {
        let _ = writeln!(out, "{count} lines of the log were dropped: standard error was not read in time");
        counts.dropped.fetch_sub(count, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Takes a line whenever it is let.
    struct Slow {
        lets: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Who lets it no more lets it all.
            let _ = self.lets.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Slow, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (letting, lets) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        (Slow { lets, written: Arc::clone(&written) }, letting, written)
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody_and_learns_what_was_dropped() {
        let (out, letting, written) = slow();
        let mut lines = LogLines::holding(4, out);
        for index in 0..100 {
            lines.write_all(format!("line {index}\n").as_bytes()).unwrap();
        }
        // Nothing was read so far, and the end does not wait for ever.
        lines.finish();
        assert!(written.lock().unwrap().is_empty());
        drop(letting);
        lines.finish();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("line 0\nline 1\nline 2\nline 3\n"), "{text}");
        let kept = text.lines().filter(|line| line.starts_with("line ")).count();
        let told = format!("\n{} lines of the log were dropped: standard error", 100 - kept);
        assert!(text.contains(&told), "{text}");
    }

    #[test]
    fn the_end_waits_for_lines_that_are_not_written_yet() {
        let (out, letting, written) = slow();
        let mut lines = LogLines::start(out);
        lines.write_all(b"last words\n").unwrap();
        drop(letting);
        lines.finish();
        assert_eq!(written.lock().unwrap().as_slice(), b"last words\n");
    }
}
