//! Writes the first corpus: documents of every kind that the door answers or refuses.

use std::fs;

const DOCUMENTS: [&str; 12] = [
    "{__typename}",
    "{events(first: 2, minMagnitude: 1.5) {totalCount nodes {eventId magnitudes {magnitude} preferredOrigin {latitude}}}}",
    "query Q($n: Int = 3, $id: ID!) {a: events(first: $n) {nodes {...E}} event(eventId: $id) {...E}} fragment E on Event {eventId}",
    "{stations(network: \"XX\") {nodes {station latitude}} picks(first: 1) {edges {cursor node {pickId}}}}",
    "{__schema {types {name fields {name type {name ofType {name ofType {name}}}}}}}",
    "{...A} fragment A on Query {...B ...B} fragment B on Query {...C ...C} fragment C on Query {__typename}",
    "{...A} fragment A on Query {...A}",
    "query A {__typename} query B {__typename}",
    "mutation {x} subscription {y}",
    "{events(first: 1, where: {a: [1, 2, {b: \"c\"}]}) @include(if: true) @skip(if: false) {nodes {eventId}}}",
    "# a comment {{{\n{events(after: \"\"\"block \" string\"\"\") {nodes {eventId}}}",
    "{a: __typename b: __typename ... on Query {c: __typename} ... @include(if: true) {d: __typename}}",
];

fn main() -> std::io::Result<()> {
    fs::create_dir_all("corpus/document")?;
    for (index, document) in DOCUMENTS.iter().enumerate() {
        fs::write(format!("corpus/document/{index}"), document)?;
    }
    Ok(())
}
