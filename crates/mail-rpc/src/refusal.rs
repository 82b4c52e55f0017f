//! Why the other service said no: gRPC status codes with the meaning that `mailbox.proto` and `auth.proto` give them.

use tonic::{Code, Status};

/// A refusal, sorted by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such mailbox.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken.
    #[error("{0}")]
    AlreadyExists(String),
    /// The request is malformed.
    #[error("{0}")]
    Invalid(String),
    /// Understood and declined.
    #[error("{0}")]
    Declined(String),
    /// Over quota (storage), or too many at once (auth).
    #[error("{0}")]
    Exhausted(String),
    /// One of our limits.
    #[error("{0}")]
    Limit(String),
    /// Not allowed: the grant is for something else, or the account is disabled.
    #[error("{0}")]
    Forbidden(String),
    /// No valid grant, or a wrong password.
    #[error("{0}")]
    Unauthenticated(String),
    /// Away or too busy: try again.
    #[error("{0}")]
    Unavailable(String),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let text = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound(text),
            Code::AlreadyExists => Self::AlreadyExists(text),
            Code::InvalidArgument => Self::Invalid(text),
            Code::FailedPrecondition => Self::Declined(text),
            Code::ResourceExhausted => Self::Exhausted(text),
            Code::OutOfRange => Self::Limit(text),
            Code::PermissionDenied => Self::Forbidden(text),
            Code::Unauthenticated => Self::Unauthenticated(text),
            // What a vanished peer, a passed deadline and a broken connection look like.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => {
                Self::Unavailable(text)
            }
            Code::Unknown if is_transport(&status) => Self::Unavailable(text),
            _ => Self::Internal(text),
        }
    }
}

/// How a call ended, for metrics.
pub fn outcome<T>(answer: &Result<T, Status>) -> &'static str {
    match answer.as_ref().map_err(Status::code) {
        Ok(_) => "ok",
        Err(Code::Unavailable | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled) => "unavailable",
        Err(Code::Internal | Code::Unknown | Code::DataLoss) => "failed",
        Err(_) => "refused",
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(text) => Status::not_found(text),
            Refusal::AlreadyExists(text) => Status::already_exists(text),
            Refusal::Invalid(text) => Status::invalid_argument(text),
            Refusal::Declined(text) => Status::failed_precondition(text),
            Refusal::Exhausted(text) => Status::resource_exhausted(text),
            Refusal::Limit(text) => Status::out_of_range(text),
            Refusal::Forbidden(text) => Status::permission_denied(text),
            Refusal::Unauthenticated(text) => Status::unauthenticated(text),
            Refusal::Unavailable(text) => Status::unavailable(text),
            Refusal::Internal(text) => Status::internal(text),
        }
    }
}

/// A connection that broke under a running call arrives as `Unknown` with the transport's error as its source.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_goes_there_and_back() {
        let text = || "why".to_owned();
        for refusal in [
            Refusal::NotFound(text()),
            Refusal::AlreadyExists(text()),
            Refusal::Invalid(text()),
            Refusal::Declined(text()),
            Refusal::Exhausted(text()),
            Refusal::Limit(text()),
            Refusal::Forbidden(text()),
            Refusal::Unauthenticated(text()),
            Refusal::Unavailable(text()),
            Refusal::Internal(text()),
        ] {
            assert_eq!(Refusal::from(Status::from(refusal.clone())), refusal);
        }
    }
}
