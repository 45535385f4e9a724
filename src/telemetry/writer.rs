//! The thread that writes the log: all lines that have come together in one write.
//!
//! A request has a line. To write each by itself, or to wake a thread for each, would
//! cost about as much as to answer it.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather behind those just written. A line after a silence does not
/// wait.
const GATHER: Duration = Duration::from_millis(2);

/// Bytes that may wait. Who has more to say waits too: no line is lost while the
/// process lives, and no memory to a reader that is slow.
const ROOM: usize = 1 << 20;

/// The way to the thread.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or to end.
    work: Condvar,
    /// What waited has been taken.
    room: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread has nothing to do.
    is_idle: bool,
    is_over: bool,
}

/// Writes what waits and ends the thread, when it is dropped.
#[must_use]
pub struct Written {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread, which writes to `output`.
///
/// # Errors
/// If there can be no thread.
pub fn start(output: impl Write + Send + 'static) -> io::Result<(Lines, Written)> {
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("log".to_owned());
    let thread = thread.spawn(move || theirs.write_all(output))?;
    Ok((Lines(Arc::clone(&shared)), Written { shared, thread: Some(thread) }))
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
            let nothing_to_do = |state: &mut State| state.waiting.is_empty() && !state.is_over;
            let mut state =
                self.work.wait_while(state, nothing_to_do).unwrap_or_else(PoisonError::into_inner);
            state.is_idle = false;
            if state.waiting.is_empty() {
                return;
            }
            std::mem::swap(&mut lines, &mut state.waiting);
            drop(state);
            self.room.notify_all();
            // Nobody could be told that the log cannot be written.
            drop(output.write_all(&lines).and_then(|()| output.flush()));
            lines.clear();

            let state = self.state();
            let gathers = |state: &mut State| !state.is_over && state.waiting.len() < ROOM / 2;
            drop(self.work.wait_timeout_while(state, GATHER, gathers));
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = |state: &mut State| state.waiting.len() >= ROOM && !state.is_over;
        let state = self.0.state();
        let mut state = self.0.room.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        state.waiting.extend_from_slice(line);
        let wake = state.is_idle || state.waiting.len() >= ROOM / 2;
        drop(state);
        if wake {
            self.0.work.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.work.notify_one();
        self.shared.room.notify_all();
        let ended = self.thread.take().map(JoinHandle::join);
        debug_assert!(ended.is_none_or(|ended| ended.is_ok()), "writing lines does not panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// What was written, write by write; each waits until it is let through.
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
    fn what_comes_while_it_writes_is_written_at_once_and_nothing_is_lost() {
        let (allow, allowed) = mpsc::channel();
        let (write, written) = mpsc::channel();
        let (mut lines, end) = start(Output { allowed, written: write }).unwrap();
        lines.write_all(b"first\n").unwrap();
        allow.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"first\n", "a lone line waits for nothing");

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
        assert_eq!(in_order, expected, "the lines of each in their order");
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
        assert!(rest.len() < 400, "many lines in one write: {}", rest.len());
    }

    #[test]
    fn who_says_more_than_there_is_room_for_waits_for_the_reader() {
        let (allow, allowed) = mpsc::channel();
        let (write, written) = mpsc::channel();
        let (mut lines, end) = start(Output { allowed, written: write }).unwrap();
        let line = vec![b'x'; ROOM / 4];
        let (said, heard) = mpsc::channel();
        let writer = std::thread::spawn(move || {
            for _ in 0..12 {
                lines.write_all(&line).unwrap();
                said.send(()).unwrap();
            }
        });
        // What is being written, what may wait, and one that did not see it full.
        for _ in 0..4 {
            heard.recv().unwrap();
        }
        assert!(!writer.is_finished());
        (0..100).for_each(|_| allow.send(()).unwrap());
        writer.join().unwrap();
        drop(end);
        assert_eq!(written.try_iter().map(|bytes| bytes.len()).sum::<usize>(), 3 * ROOM);
    }
}
