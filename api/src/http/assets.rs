//! Pages and scripts compiled into the binary: the console works where there is no other network.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// One embedded file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    path: &'static str,
    media_type: &'static str,
    cache: &'static str,
    content: &'static str,
}

/// Pages belong to the binary that serves them and are asked for anew each time.
const NO_CACHE: &str = "no-cache";

/// Libraries change with their version only.
const ONE_DAY: &str = "public, max-age=86400";

impl Asset {
    pub(crate) const fn html(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: "text/html; charset=utf-8", cache: NO_CACHE, content }
    }

    pub(crate) const fn json(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: "application/json", cache: NO_CACHE, content }
    }

    pub(crate) const fn script(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: "text/javascript; charset=utf-8", cache: ONE_DAY, content }
    }

    pub(crate) const fn style(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: "text/css; charset=utf-8", cache: ONE_DAY, content }
    }
}

/// A route for each asset.
pub(crate) fn asset_routes(assets: &'static [Asset]) -> Router {
    let mut router = Router::new();
    for asset in assets {
        let answer = move || async move {
            let headers = [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, asset.cache),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, asset.content).into_response()
        };
        router = router.route(asset.path, get(answer));
    }
    router
}
