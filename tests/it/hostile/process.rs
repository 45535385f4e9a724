//! The memory and the processor time of a process, as the kernel reports them (proc(5)).

use std::time::{Duration, Instant};

/// The memory growth of a process since [`Memory::of`].
pub struct Memory {
    pid: u32,
    before: u64,
}

impl Memory {
    pub fn of(pid: u32) -> Self {
        // Resets the peak.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        Self { pid, before: bytes(pid, "VmRSS:") }
    }

    /// The greatest growth of the process, in bytes.
    pub fn growth(&self) -> u64 {
        bytes(self.pid, "VmHWM:").saturating_sub(self.before)
    }
}

fn bytes(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kilobytes * 1024
}

/// The processor time of a process since [`Work::of`].
pub struct Work {
    pid: u32,
    since: Instant,
    before: Duration,
}

impl Work {
    pub fn of(pid: u32) -> Self {
        Self { pid, since: Instant::now(), before: spent(pid) }
    }

    /// The part of one processor that the process used.
    pub fn share(&self) -> f64 {
        let spent = spent(self.pid) - self.before;
        spent.as_secs_f64() / self.since.elapsed().as_secs_f64()
    }
}

/// The user and system time. The kernel counts hundredths of a second on every Linux.
fn spent(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The process name before these fields may contain spaces.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
