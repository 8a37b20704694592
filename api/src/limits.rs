//! Every limit of the doors, in one place.

use std::time::Duration;

/// What one request may cost. The binary fills it from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpLimits {
    /// Largest request body; a larger one is refused with 413.
    pub body_bytes_max: usize,
    /// Longest time a request may take; then it is answered with 504.
    pub request_time_max: Duration,
    /// Longest time that a body may keep us waiting, moving next to nothing; then it is answered with 408.
    pub receive_time_max: Duration,
    /// Requests worked on at once, until their answers are sent; further ones wait.
    pub concurrent_requests_max: usize,
    /// Requests that wait at once; further ones are answered with 503.
    pub waiting_requests_max: usize,
    /// Longest time that a request waits; then it is answered with 503.
    pub wait_time_max: Duration,
    /// Origins of pages that may read what we answer: `https://host[:port]`, or `*` for all.
    pub cors_origins: Vec<String>,
    /// Rows of a page where the caller does not say.
    pub page_rows_default: usize,
    /// Rows of a page at most.
    pub page_rows_max: usize,
    /// Levels of nested fields in a GraphQL query at most; introspection is not counted.
    pub query_depth_max: usize,
    /// Cost of a GraphQL query at most: fields, those of a list times the rows asked for.
    pub query_cost_max: usize,
    /// Events that one FDSN query may return; more are refused with 413.
    pub fdsn_events_max: usize,
    /// Samples that one FDSN dataselect answer may hold; more are refused with 413.
    pub fdsn_samples_max: u64,
    /// Stored pieces of waveform that one FDSN request may look at; more are refused with 413. A piece takes 64 bytes
    /// of memory while the answer is planned.
    pub fdsn_pieces_max: usize,
    /// Samples that one GraphQL page may carry.
    pub samples_max: usize,
    /// Whether FDSN dataselect gives closed data too, because who comes through the door may have them.
    pub serve_restricted: bool,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            request_time_max: Duration::from_secs(60),
            receive_time_max: Duration::from_secs(20),
            concurrent_requests_max: 256,
            waiting_requests_max: 1024,
            wait_time_max: Duration::from_secs(10),
            cors_origins: Vec::new(),
            page_rows_default: 100,
            page_rows_max: 1000,
            query_depth_max: 9,
            query_cost_max: 200_000,
            fdsn_events_max: 20_000,
            fdsn_samples_max: 1_000_000_000,
            fdsn_pieces_max: 4_000_000,
            samples_max: 1_000_000,
            serve_restricted: false,
        }
    }
}
