//! Metrics of this process from the operating system, with the names that Prometheus' own libraries
//! use.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Reads `/proc` at each scrape. Leaves out a metric if the system does not provide its value.
#[derive(Debug)]
pub struct Process {
    started_at_seconds: f64,
}

impl Process {
    /// Must be called when the process starts: it records the current time as the start.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at_seconds: now.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let open = fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as f64);
        let max = getrlimit(Resource::Nofile).current.map(|max| max as f64);
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                number("VmRSS:").map(|kib| kib * 1024.0),
            ),
            ("process_open_fds", "Open file descriptors", open),
            ("process_max_fds", "The most open file descriptors", max),
            ("process_threads", "Threads", number("Threads:")),
            (
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                Some(self.started_at_seconds),
            ),
        ] {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let used = ConstCounter::new(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
        let help = "CPU time of all threads";
        let kind = used.metric_type();
        used.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, kind)?)
    }
}

/// The number after `name` in `/proc/self/status`.
fn number(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
