//! Metrics of the workers.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::transport::metrics::Metrics;
use crate::workers::schedule::Schedule;

pub fn register(metrics: &Metrics, schedules: Vec<Arc<Schedule>>) {
    metrics.register(|registry| registry.register_collector(Box::new(Workers(schedules))));
}

#[derive(Debug)]
struct Workers(Vec<Arc<Schedule>>);

impl Collector for Workers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "When a worker last succeeded, or began, in seconds since 1970";
        let name = "worker_last_success_timestamp_seconds";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        self.each(metric, |schedule| schedule.succeeded_at().as_secs_f64())?;
        let help = "How often a worker runs";
        let metric =
            encoder.encode_descriptor("worker_period_seconds", help, None, MetricType::Gauge)?;
        self.each(metric, |schedule| schedule.period.as_secs_f64())
    }
}

impl Workers {
    fn each(
        &self,
        mut metric: MetricEncoder<'_>,
        value: impl Fn(&Schedule) -> f64,
    ) -> Result<(), std::fmt::Error> {
        for schedule in &self.0 {
            let labels = [("worker", schedule.worker)];
            ConstGauge::new(value(schedule)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
