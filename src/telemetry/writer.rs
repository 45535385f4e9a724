//! The thread that writes the log, many lines in one system call.
//!
//! Every request logs a line. One system call or one wake-up of a thread for each line would
//! cost about as much as the request itself.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// After a write, the thread collects lines for this time. The first line after an idle time
/// is written immediately.
const BATCH_DELAY: Duration = Duration::from_millis(2);

/// The most buffered bytes. If the buffer is full, threads that log wait: no line is lost, and
/// memory is bounded even if the reader of standard error is slow.
const CAPACITY_BYTES: usize = 1 << 20;

/// Sends lines to the thread.
#[derive(Clone)]
pub struct LogWriter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified if the buffer is not empty, or the thread should stop.
    wakeup: Condvar,
    /// Notified after the buffer was emptied.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// The thread waits for lines.
    is_idle: bool,
    is_closed: bool,
}

/// Dropping it writes the buffered lines and stops the thread.
#[must_use]
pub struct LogGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread, which writes to `output`.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(output: impl Write + Send + 'static) -> io::Result<(LogWriter, LogGuard)> {
    let shared = Arc::new(Shared::default());
    let for_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("log".to_owned());
    let thread = thread.spawn(move || for_thread.write_all(output))?;
    Ok((LogWriter(Arc::clone(&shared)), LogGuard { shared, thread: Some(thread) }))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.state();
            state.is_idle = true;
            let is_idle = |state: &mut State| state.buffer.is_empty() && !state.is_closed;
            let mut state =
                self.wakeup.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
            state.is_idle = false;
            if state.buffer.is_empty() {
                return;
            }
            std::mem::swap(&mut lines, &mut state.buffer);
            drop(state);
            self.drained.notify_all();
            // An error is ignored: there is no other place to report it.
            drop(output.write_all(&lines).and_then(|()| output.flush()));
            lines.clear();

            let state = self.state();
            let collects =
                |state: &mut State| !state.is_closed && state.buffer.len() < CAPACITY_BYTES / 2;
            drop(self.wakeup.wait_timeout_while(state, BATCH_DELAY, collects));
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_full = |state: &mut State| state.buffer.len() >= CAPACITY_BYTES && !state.is_closed;
        let state = self.0.state();
        let mut state =
            self.0.drained.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        state.buffer.extend_from_slice(line);
        let wake = state.is_idle || state.buffer.len() >= CAPACITY_BYTES / 2;
        drop(state);
        if wake {
            self.0.wakeup.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.wakeup.notify_one();
        self.shared.drained.notify_all();
        let ended = self.thread.take().map(JoinHandle::join);
        debug_assert!(ended.is_none_or(|ended| ended.is_ok()), "writing lines does not panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Records each write; a write blocks until the test allows it.
    struct Output {
        allowed: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(io::Error::other)?;
            self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_arrive_during_a_write_are_written_together() {
        let (allow, allowed) = mpsc::channel();
        let (write, written) = mpsc::channel();
        let (mut lines, end) = start(Output { allowed, written: write }).unwrap();
        lines.write_all(b"first\n").unwrap();
        allow.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"first\n", "a single line is written immediately");

        let mut expected = Vec::new();
        let writers: Vec<_> = (0..4)
            .map(|i| {
                let mut lines = lines.clone();
                std::thread::spawn(move || {
                    for j in 0..100 {
                        lines.write_all(format!("{i} {j}\n").as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        (0..1000).for_each(|_| allow.send(()).unwrap());
        drop(end);
        let rest: Vec<Vec<u8>> = written.try_iter().collect();
        let text = String::from_utf8(rest.concat()).unwrap();
        let mut got: Vec<_> = text.lines().map(str::to_owned).collect();
        for i in 0..4 {
            expected.extend((0..100).map(|j| format!("{i} {j}")));
        }
        let of =
            |i: &str| got.iter().filter(|line| line.starts_with(i)).cloned().collect::<Vec<_>>();
        let in_order = ["0 ", "1 ", "2 ", "3 "].map(of).concat();
        assert_eq!(in_order, expected, "the lines of each thread are in order");
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
        assert!(rest.len() < 400, "many lines in one write: {}", rest.len());
    }

    #[test]
    fn a_thread_waits_while_the_buffer_is_full() {
        let (allow, allowed) = mpsc::channel();
        let (write, written) = mpsc::channel();
        let (mut lines, end) = start(Output { allowed, written: write }).unwrap();
        let line = vec![b'x'; CAPACITY_BYTES / 4];
        let (sent, received) = mpsc::channel();
        let writer = std::thread::spawn(move || {
            for _ in 0..12 {
                lines.write_all(&line).unwrap();
                sent.send(()).unwrap();
            }
        });
        // The line that is being written and those that fit into the buffer.
        for _ in 0..4 {
            received.recv().unwrap();
        }
        assert!(!writer.is_finished());
        (0..100).for_each(|_| allow.send(()).unwrap());
        writer.join().unwrap();
        drop(end);
        assert_eq!(written.try_iter().map(|bytes| bytes.len()).sum::<usize>(), 3 * CAPACITY_BYTES);
    }
}
