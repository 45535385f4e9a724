//! What a process costs, as the kernel tells it (proc(5)).

/// The memory of a process, from here on.
pub struct Memory {
    pid: u32,
    before: u64,
}

impl Memory {
    pub fn of(pid: u32) -> Self {
        // The peak is forgotten.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        Self { pid, before: bytes(pid, "VmRSS:") }
    }

    /// By how many bytes the process has been larger, at most.
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
