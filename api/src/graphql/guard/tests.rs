use std::fmt::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// What the guard says of a document: its code, or nothing where it passes.
fn refused(text: &str) -> Option<ErrorCode> {
    let started = Instant::now();
    let answer = check(&mut Request::new(text), 9).err().map(|error| error.code);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?} for {} bytes", started.elapsed(), text.len());
    answer
}

/// Fragments that each spread the next one twice.
fn doubling(levels: usize) -> String {
    let mut text = "{...F0}".to_owned();
    for level in 0..levels {
        let next = level + 1;
        write!(text, " fragment F{level} on Query{{...F{next} ...F{next}}}").unwrap();
    }
    write!(text, " fragment F{levels} on Query{{__typename}}").unwrap();
    text
}

#[test]
fn fragments_that_double_are_refused_at_once() {
    assert_eq!(refused(&doubling(3)), None);
    for levels in [12, 40, 63, 200] {
        assert_eq!(refused(&doubling(levels)), Some(ErrorCode::QueryTooComplex), "{levels}");
    }
    // The same behind fields, inline fragments and in fragments that no operation spreads.
    let hidden = doubling(40).replace("{...F0}", "{__typename}");
    assert_eq!(refused(&hidden), Some(ErrorCode::QueryTooComplex));
    let inline = doubling(40).replace("...F1 ...F1", "... on Query{...F1} ...{...F1}");
    assert_eq!(refused(&inline), Some(ErrorCode::QueryTooComplex));
}

#[test]
fn fragments_that_spread_themselves_are_refused() {
    for text in [
        "{...A} fragment A on Query{...A}",
        "{...A} fragment A on Query{...B} fragment B on Query{...C} fragment C on Query{...A}",
        "{__typename} fragment A on Query{events{nodes{...B}}} fragment B on Event{...A}",
    ] {
        assert_eq!(refused(text), Some(ErrorCode::InvalidQuery), "{text}");
    }
}

#[test]
fn a_fragment_may_be_spread_twice() {
    let text = "{a: events{...P} b: events{...P}} fragment P on EventConnection{nodes{...N} edges{node{...N}}} \
                fragment N on Event{eventId}";
    assert_eq!(refused(text), None);
}

#[test]
fn what_stands_too_deep_never_meets_the_parser() {
    for count in [65, 1_000, 20_000] {
        for (open, close) in [("{a", "}"), ("{...{a", "}}"), ("{a(b:[", "])}")] {
            let text = format!("{}{}", open.repeat(count), close.repeat(count));
            assert!(refused(&text).is_some(), "{count} {open}");
            assert!(refused(&open.repeat(count)).is_some(), "{count} {open} without ends");
        }
        let lists = format!("{{a(b:{}{})}}", "[".repeat(count), "]".repeat(count));
        let objects = format!("{{a(b:{}1{})}}", "{c:".repeat(count), "}".repeat(count));
        let types = format!("query($a:{}Int{}){{__typename}}", "[".repeat(count), "]".repeat(count));
        let behind_quotes = format!("{{a(b:[\"\"\" \" {}", "{c:".repeat(count));
        for text in [lists, objects, types, behind_quotes] {
            assert!(refused(&text).is_some(), "{count}: {}", &text[..20]);
        }
    }
    assert_eq!(refused(&format!("{}a{}", "{a".repeat(12), "}".repeat(12))), Some(ErrorCode::QueryTooDeep));
}

#[test]
fn openers_without_an_end_are_looked_for_once() {
    for line in ["\\\"\"\"\n", "\\\"\"\" ", "\"\"\" \\", "\"\"\"\\\"\"\"\n"] {
        let text = format!("{{a(b:\"\"\"{}", line.repeat((64 << 10) / line.len() - 4));
        assert!(refused(&text).is_some());
    }
}

#[test]
fn brackets_in_strings_and_comments_are_none() {
    for (text, nesting) in [
        ("{a}", 1),
        ("{a(b:\"{{{{\")}", 2),
        ("{a(b:\"\\\"{{{{\")}", 2),
        ("{a(b:\"\"\"{{\\\"\"\"{{\"\"\")}", 2),
        ("# {{{{\n{a}", 1),
        ("{a(b:\"\")[[}", 3),
        ("{a(b:\"\"\"[[", 2),
        ("{a(b:\"\"\"\n[[", 4),
    ] {
        assert_eq!(Signs::of(text).nesting, nesting, "{text}");
    }
}

#[test]
fn many_of_anything_are_refused() {
    let aliases: String = (0..20_000).map(|n| format!("a{n}:events(first:1){{nodes{{eventId}}}}")).collect();
    let short_aliases: String = (0..6_000).map(|n| format!("a{n}:event ")).collect();
    let directives = "@include(if:true)".repeat(1_000);
    let operations: String = (0..1_000).map(|n| format!("query Q{n}{{__typename}}")).collect();
    let fragments: String = (0..1_000).map(|n| format!("fragment F{n} on Query{{__typename}}")).collect();
    let counts = "t: totalCount ".repeat(101);
    for text in [
        format!("{{events{{{counts}}}}}"),
        format!("{{{aliases}}}"),
        format!("{{{short_aliases}}}"),
        format!("{{__typename {directives}}}"),
        operations,
        format!("{{__typename}} {fragments}"),
    ] {
        assert_eq!(refused(&text), Some(ErrorCode::QueryTooComplex), "{}", &text[..30]);
    }
}

#[test]
fn variables_are_counted_with_what_they_hold() {
    let with = |json: serde_json::Value| {
        let mut request = Request::new("{__typename}").variables(Variables::from_json(json));
        check(&mut request, 9).err().map(|error| error.code)
    };
    assert_eq!(with(serde_json::json!({"a": [1, {"b": null}], "c": "text"})), None);
    let many: Vec<u32> = (0..1_001).collect();
    assert_eq!(with(serde_json::json!({ "a": many })), Some(ErrorCode::QueryTooComplex));
    let objects: Vec<_> = (0..600).map(|n| serde_json::json!({ "b": n })).collect();
    assert_eq!(with(serde_json::json!({ "a": objects })), Some(ErrorCode::QueryTooComplex));
}

/// What GraphiQL sends to learn the schema.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name } types \
    { ...FullType } directives { name description locations args { ...InputValue } } } } fragment FullType on __Type \
    { kind name description fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } \
    isDeprecated deprecationReason } inputFields { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: \
    true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } } fragment InputValue on \
    __InputValue { name description type { ...TypeRef } defaultValue } fragment TypeRef on __Type { kind name ofType { kind \
    name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name } } } } } } } } } }";

/// Documents that the guard lets through.
const SOUND: [&str; 4] = [
    INTROSPECTION,
    "{events(first: 2, minMagnitude: 1.5) {totalCount nodes {eventId magnitudes {magnitude}}}}",
    "query Q($n: Int = 3) {a: events(first: $n) @include(if: true) {nodes {...E}}} fragment E on Event {eventId}",
    "{events(after: \"\"\"a { \\\"\"\" block\"\"\", where: {a: [1, {b: \"c\\u0041\"}]}) {nodes {eventId}}} # end {",
];

#[test]
fn sound_documents_pass() {
    for document in SOUND {
        assert_eq!(refused(document), None, "{document}");
    }
}

#[test]
fn tools_learn_the_schema_but_not_lists_within_lists_of_it() {
    assert_eq!(refused(INTROSPECTION), None);
    let nested = |levels: usize| {
        format!("{{__schema{{types{{{}name{}}}}}}}", "fields{type{".repeat(levels), "}}".repeat(levels))
    };
    assert_eq!(refused(&nested(2)), None);
    assert_eq!(refused(&nested(6)), Some(ErrorCode::QueryTooComplex));
    let spread = "{__schema{types{...A}}} fragment A on __Type{fields{type{...B}}} fragment B on __Type{fields{type{...C}}} \
                  fragment C on __Type{fields{type{fields{type{name}}}}}";
    assert_eq!(refused(spread), Some(ErrorCode::QueryTooComplex));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Texts of the words of the language, in any order, are refused or not, within the time of `refused`.
    #[test]
    fn no_text_hangs_or_ends_the_guard(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "{", "}", "(", ")", "[", "]", "...", "on ", "a", "F1", ":", "$v", "@include", "fragment ", "query ", "\"", "\"\"\"",
            "\\", "#", "\n", ",", "1", "-", ".", "e9", "null", "true", "__schema", "types", "!", "=", "|", "&", "é", "\u{feff}",
        ]), 0..400)
    ) {
        let _ = refused(&words.concat());
    }

    /// Documents that pass, with parts taken out, doubled, or other words put in, pass or are refused, within the time of `refused`.
    #[test]
    fn no_changed_document_hangs_or_ends_the_guard(
        document in 0..SOUND.len(),
        changes in proptest::collection::vec((0_usize..2000, 0_usize..200, 0_usize..6), 1..8),
    ) {
        const WORDS: [&str; 4] = ["{", "...F ", "\"\"\"", "@a("];
        let mut letters: Vec<char> = SOUND[document].chars().collect();
        for (at, count, change) in changes {
            let at = at % (letters.len() + 1);
            let end = (at + count).min(letters.len());
            match change {
                0 => drop(letters.drain(at..end)),
                1 => {
                    let part: Vec<char> = letters[at..end].to_vec();
                    letters.splice(at..at, part);
                }
                word => drop(letters.splice(at..at, WORDS[word - 2].repeat(count).chars())),
            }
        }
        let _ = refused(&letters.into_iter().collect::<String>());
    }

    /// Documents of fragments that spread each other at random are measured, and what passes is small written out.
    #[test]
    fn fragments_at_random_are_measured(spreads in proptest::collection::vec(proptest::collection::vec(0_usize..30, 0..4), 1..30)) {
        let mut text = "{...F0}".to_owned();
        for (index, targets) in spreads.iter().enumerate() {
            let inner: String = targets.iter().map(|target| format!("...F{target} ")).collect();
            write!(text, " fragment F{index} on Query{{__typename {inner}}}").unwrap();
        }
        let _ = refused(&text);
    }
}
