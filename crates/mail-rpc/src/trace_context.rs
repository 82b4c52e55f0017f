//! One trace follows a mail through the services: W3C trace context in the metadata of each call.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Headers<'a>(&'a mut http::HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(key), http::HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Metadata<'a>(&'a tonic::metadata::MetadataMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }
    fn keys(&self) -> Vec<&str> {
        ["traceparent", "tracestate"].into_iter().filter(|key| self.0.contains_key(*key)).collect()
    }
}

/// Puts the current span's context into the headers of an outgoing call. Does nothing without a tracer.
pub(crate) fn inject(headers: &mut http::HeaderMap) {
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(headers));
    });
}

/// Makes `span` a child of the caller's span. For the server's side of a call from another process.
pub fn adopt_trace_context(span: &tracing::Span, metadata: &tonic::metadata::MetadataMap) {
    if metadata.contains_key("traceparent") {
        let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.extract(&Metadata(metadata))
        });
        // Fails only for a span that was never recorded, which needs no parent.
        let _ = span.set_parent(parent);
    }
}

/// The current span as W3C `traceparent`, for what travels another way than by a call. `None` where nothing is recorded.
pub fn current_traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    let recorded = span.is_valid() && span.is_sampled();
    recorded.then(|| format!("00-{:032x}-{:016x}-01", span.trace_id(), span.span_id()))
}

/// Makes `span` a child of the span that this `traceparent` names.
pub fn adopt_traceparent(span: &tracing::Span, traceparent: &str) {
    let carrier = std::collections::HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
    // Fails only for a span that was never recorded, which needs no parent.
    let _ = span.set_parent(parent);
}
