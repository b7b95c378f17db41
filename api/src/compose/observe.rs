//! The recorder of metrics, one per process.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of times, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Upper bounds of batches.
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// What `/metrics` renders; the first call installs the recorder and describes every metric.
pub fn metrics_handle() -> PrometheusHandle {
    HANDLE.get_or_init(install).clone()
}

fn install() -> PrometheusHandle {
    let builder = [
        (Matcher::Suffix("_seconds".to_owned()), &SECONDS[..]),
        (Matcher::Suffix("_orders".to_owned()), &COUNTS[..]),
        (Matcher::Suffix("_commands".to_owned()), &COUNTS[..]),
        (Matcher::Suffix("_events".to_owned()), &COUNTS[..]),
    ]
    .into_iter()
    .try_fold(PrometheusBuilder::new(), |builder, (matcher, bounds)| {
        builder.set_buckets_for_metric(matcher, bounds)
    })
    .unwrap_or_default();
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another recorder of metrics is there already");
    }
    commands::metrics::describe_core();
    commands::metrics::describe_log();
    commands::metrics::describe_sealer();
    commands::metrics::describe_store();
    projections::metrics::describe_gate();
    projections::metrics::describe_consumer();
    projections::metrics::describe_read_models();
    projections::metrics::describe_feed();
    crate::live::metrics::describe();
    crate::metrics::describe();
    handle
}
