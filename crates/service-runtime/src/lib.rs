//! What every Todoku service needs before it speaks a protocol: configuration, logs and traces,
//! metrics, health pages and the stop signal. Knows nothing of mail.

pub mod config;
pub mod http;
pub mod metrics;
pub mod net;
pub mod shutdown;
pub mod size;
pub mod telemetry;

pub use config::Config;
pub use http::Readiness;
pub use metrics::metrics;
pub use shutdown::Shutdown;
pub use size::ByteSize;
