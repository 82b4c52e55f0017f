//! Logs to standard error, traces to an OTLP collector.

use std::io::IsTerminal;

use anyhow::Context;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Config, LogFormat};

/// Sends what traces are still waiting when it is dropped; keep it until the process ends.
#[must_use = "traces are lost when the guard is dropped at once"]
#[derive(Debug)]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "The last traces were not sent");
        }
    }
}

/// Starts logs, and traces if `otlp.endpoint` is set, under the service's name. Trace context
/// travels as W3C `traceparent`. Must be called inside a tokio runtime, once.
///
/// # Errors
/// When `log.level` does not parse, the endpoint is not a URL, or a subscriber is already set.
pub fn init(service_name: &'static str, config: &Config) -> anyhow::Result<Guard> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let filter = EnvFilter::try_new(&config.log.level).with_context(|| {
        format!("log.level = \"{}\": use error, warn, info, debug, trace, or a filter", config.log.level)
    })?;
    let human = match config.log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if human {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let provider = tracer_provider(service_name, &config.otlp.endpoint)?;
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(service_name));
        layer.with_filter(recorded())
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines.with_filter(filter))
        .try_init()
        .context("logs were already set up")?;
    Ok(Guard { provider })
}

/// What traces are made of, however quiet the log is: our own spans, and not those of the libraries below.
fn recorded() -> Targets {
    let ours = [
        "imap_gateway",
        "pop3_gateway",
        "delivery_gateway",
        "mailbox_storage",
        "auth",
        "mail_rpc",
        "todoku",
        "service_runtime",
    ];
    Targets::new().with_targets(ours.map(|name| (name, LevelFilter::DEBUG)))
}

fn tracer_provider(service_name: &'static str, endpoint: &str) -> anyhow::Result<Option<SdkTracerProvider>> {
    if endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| {
        format!("otlp.endpoint = \"{endpoint}\": use a URL such as http://collector:4317")
    })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(service_name).build())
        .build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}
