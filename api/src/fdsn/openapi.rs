//! The FDSN services in the OpenAPI document, made from the lists that requests are checked against.

use serde_json::{Map, Value, json};

use super::parameters::{Kind, Parameter, ParameterGroups};
use super::service::Service;
use super::{availability, dataselect, event, station};

/// A service as the document tells it: what its queries take and answer.
struct ServiceDoc {
    name: &'static str,
    version: &'static str,
    parameters: ParameterGroups,
    /// Path below the service, and what it is.
    queries: &'static [(&'static str, &'static str)],
    media_types: &'static [&'static str],
    /// Further paths without parameters.
    paths: &'static [(&'static str, &'static str, &'static str)],
    post: &'static str,
}

const LINES: &str = "Body: name=value lines, then NET STA LOC CHA START END lines.";
const DESCRIPTIONS: [(&str, &str, &str); 2] = [
    ("application.wadl", "What the service accepts", "application/xml"),
    ("version", "Version of the specification", "text/plain"),
];

fn of(
    service: &'static Service,
    version: &'static str,
    queries: &'static [(&'static str, &'static str)],
    media_types: &'static [&'static str],
) -> ServiceDoc {
    let (name, parameters) = (service.name, service.parameters);
    ServiceDoc { name, version, parameters, queries, media_types, paths: &[], post: LINES }
}

fn services() -> [ServiceDoc; 4] {
    let event = ServiceDoc {
        name: "event",
        version: "1.2",
        parameters: event::PARAMETERS,
        queries: &[("query", "Earthquakes for clients of the field")],
        media_types: &["application/xml", "text/plain", "application/geo+json", "text/csv"],
        paths: &[
            ("catalogs", "Catalogues", "application/xml"),
            ("contributors", "Contributors", "application/xml"),
        ],
        post: "Body: name=value, one a line or joined by &.",
    };
    [
        event,
        of(
            &station::SERVICE,
            "1.1",
            &[("query", "Stations for clients of the field")],
            &["application/xml", "text/plain"],
        ),
        of(
            &dataselect::SERVICE,
            "1.1",
            &[("query", "Waveforms as miniSEED records")],
            &["application/vnd.fdsn.mseed", "application/vnd.fdsn.mseed3"],
        ),
        of(
            &availability::SERVICE,
            "1.0",
            &[("query", "Time spans with data"), ("extent", "First and last sample of each channel")],
            &["text/plain", "text/csv", "application/json"],
        ),
    ]
}

/// Paths below `/fdsnws` with their operations.
pub(crate) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for service in services() {
        let base = format!("/fdsnws/{}/1/", service.name);
        for (path, summary) in service.queries {
            paths.insert(format!("{base}{path}"), service.query(summary));
        }
        for (path, summary, media_type) in service.paths.iter().chain(&DESCRIPTIONS) {
            paths.insert(format!("{base}{path}"), json!({ "get": operation(summary, "", &[media_type]) }));
        }
        let root = operation("What the service accepts", "", &["application/xml"]);
        paths.insert(base, json!({ "get": root }));
    }
    paths
}

impl ServiceDoc {
    fn query(&self, summary: &str) -> Value {
        let description = format!("fdsnws-{} {}.", self.name, self.version);
        let mut get = operation(summary, &description, self.media_types);
        get["parameters"] = self.parameters.iter().copied().flatten().map(parameter).collect();
        let mut post = operation("The same by POST", self.post, self.media_types);
        post["requestBody"] = json!({ "required": true, "content": content(&["text/plain"]) });
        for operation in [&mut get, &mut post] {
            let responses = &mut operation["responses"];
            responses["204"] = json!({ "description": "Nothing matches." });
            responses["400"] =
                json!({ "description": "The request is wrong.", "content": content(&["text/plain"]) });
            responses["413"] =
                json!({ "description": "More than is given at once.", "content": content(&["text/plain"]) });
        }
        json!({ "get": get, "post": post })
    }
}

fn operation(summary: &str, description: &str, media_types: &[&str]) -> Value {
    json!({
        "tags": ["FDSN"], "summary": summary, "description": description,
        "responses": {
            "200": { "description": "The answer.", "content": content(media_types) },
            "503": { "description": "As many requests as allowed are in progress and waiting.", "content": content(&["text/plain"]) },
            "504": { "description": "The request took longer than allowed.", "content": content(&["text/plain"]) },
        },
    })
}

fn content(media_types: &[&str]) -> Value {
    media_types.iter().map(|name| ((*name).to_owned(), json!({ "schema": { "type": "string" } }))).collect()
}

fn parameter(parameter: &Parameter) -> Value {
    let kind = match parameter.kind {
        Kind::Time | Kind::Text => "string",
        Kind::Number => "number",
        Kind::Count => "integer",
        Kind::Flag => "boolean",
    };
    let mut schema = json!({ "type": kind });
    if let Some(default) = parameter.default {
        let parsed = if kind == "string" { None } else { serde_json::from_str(default).ok() };
        schema["default"] = parsed.unwrap_or_else(|| default.into());
    }
    // Lists of words are checked by their service; numbers of few values are told as what they are.
    if !parameter.options.is_empty() {
        let options = parameter.options.iter();
        schema["enum"] =
            options.map(|word| serde_json::from_str(word).unwrap_or_else(|_| json!(word))).collect();
    }
    if matches!(parameter.name, "limit" | "offset") {
        schema["minimum"] = json!(1);
    }
    let alias = parameter.alias.map(|alias| format!("Also: {alias}.")).unwrap_or_default();
    json!({ "name": parameter.name, "in": "query", "required": false, "schema": schema, "description": alias })
}
