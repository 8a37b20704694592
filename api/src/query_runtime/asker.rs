//! Who asks: a client at a door. Statements are queued by it.

use std::fmt;
use std::future::Future;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::QueryRuntime;
use crate::request::RequestContext;

tokio::task_local! {
    static CURRENT: Asker;
}

/// Doors through which statements come as they are.
const WRITING_DOORS: [&str; 2] = ["flight", "command line"];

/// A client at a door.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asker {
    door: &'static str,
    client: String,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.client, self.door)
    }
}

impl Asker {
    /// `client` (an address, say) at `door`.
    pub fn new(door: &'static str, client: impl Into<String>) -> Self {
        Self { door, client: client.into() }
    }

    /// Whether it writes its statements itself: those of all other doors are ours.
    pub(super) fn writes_statements(&self) -> bool {
        WRITING_DOORS.contains(&self.door)
    }

    /// The one in whose name the task at hand works; the house itself where nobody said.
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_else(|_| Self::new("house", ""))
    }

    /// Does `work` in the name of this asker.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// The door of a path.
pub(crate) fn door_of(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("graphql") => "graphql",
        Some("fdsnws") => "fdsn",
        _ => "http",
    }
}

/// What waits for no other answer: probes, and the way into the stream.
fn is_of_the_live_path(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics" | "/waveforms/ingest")
}

/// Answers a request in the name of its client at one of the doors of HTTP, on threads for answers.
pub(crate) async fn in_its_name(
    State(queries): State<Option<QueryRuntime>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let context = request.extensions().get::<RequestContext>();
    let client = context.map(|context| context.client.to_string());
    let asker = Asker::new(door_of(path), client.unwrap_or_default());
    let queries = queries.filter(|_| !is_of_the_live_path(path));
    let answering = asker.scope(next.run(request)).in_current_span();
    match queries {
        Some(queries) => queries.answer(answering).await,
        None => answering.await,
    }
}
