//! Who asks: a client at a door. Statements are queued by it.

use std::future::Future;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::request::RequestContext;

tokio::task_local! {
    static CURRENT: Asker;
}

/// A client at a door.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asker {
    door: &'static str,
    client: String,
}

impl Asker {
    /// `client` (an address, say) at `door`.
    pub fn new(door: &'static str, client: impl Into<String>) -> Self {
        Self { door, client: client.into() }
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

/// Answers a request in the name of its client at one of the doors of HTTP.
pub(crate) async fn in_its_name(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let door = match path.split('/').nth(1) {
        Some("graphql") => "graphql",
        Some("fdsnws") => "fdsn",
        _ => "http",
    };
    let context = request.extensions().get::<RequestContext>();
    let client = context.map(|context| context.client.to_string());
    Asker::new(door, client.unwrap_or_default()).scope(next.run(request)).await
}
