//! The table of ARCHITECTURE.md: which room uses which, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use seislake_tables::TABLES;

const USES: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("mseed", &[]),
    ("seismo", &["model"]),
    ("spatial", &[]),
    ("exchange", &["model"]),
    ("tables", &["model"]),
    ("query", &["model", "mseed", "seismo", "exchange", "tables"]),
    ("streams", &["model", "mseed", "seismo", "tables"]),
    ("catalog", &["model", "spatial", "tables"]),
    ("lakehouse", &["model", "mseed", "seismo", "exchange", "query", "streams", "catalog", "tables"]),
    ("api", &["model", "exchange", "query", "catalog", "mseed", "seismo", "tables"]),
    ("recordings", &[]),
    ("bench", &["model", "mseed", "seismo", "exchange", "query", "catalog", "tables", "lakehouse"]),
    ("binary", &["model", "seismo", "exchange", "query", "streams", "catalog", "lakehouse", "api"]),
];

/// Libraries that only these rooms may see.
const SHELL_ONLY: [(&str, &[&str]); 4] = [
    ("datafusion", &["query", "catalog", "lakehouse", "api", "bench", "binary"]),
    ("iceberg", &["catalog", "api"]),
    ("tokio", &["streams", "catalog", "lakehouse", "api", "bench", "binary"]),
    ("axum", &["api", "binary"]),
];

fn room(package: &str) -> &str {
    if package == "seislake" { "binary" } else { package.trim_start_matches("seislake-") }
}

/// All code of a package.
fn sources(manifest: &Path) -> String {
    files(manifest.with_file_name("src")).into_values().collect()
}

/// The files below a folder.
pub(crate) fn files(folder: PathBuf) -> BTreeMap<PathBuf, String> {
    let mut folders = vec![folder];
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("a text");
                files.insert(path, text);
            }
        }
    }
    files
}

#[test]
fn rooms_use_what_the_architecture_says() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let table: BTreeMap<&str, BTreeSet<&str>> =
        USES.iter().map(|(room, uses)| (*room, uses.iter().copied().collect())).collect();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = room(package["name"].as_str().expect("name"));
        let stated = table.get(name).unwrap_or_else(|| panic!("room \"{name}\" is not in the table"));
        let sources = sources(Path::new(package["manifest_path"].as_str().expect("a path")));
        let mut used = BTreeSet::new();
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            let dependency = dependency["name"].as_str().expect("name");
            if dependency.starts_with("seislake") {
                assert!(
                    sources.contains(&dependency.replace('-', "_")),
                    "{name} names {dependency} and does not use it"
                );
                used.insert(room(dependency));
            }
            for (library, rooms) in SHELL_ONLY {
                assert!(dependency != library || rooms.contains(&name), "{name} must not see {library}");
            }
        }
        assert_eq!(used, *stated, "{name}");
    }
    assert_eq!(seen.len(), USES.len(), "the table names a room that does not exist");
}

/// What a line of code names where a column is read: words of a statement, and arguments of calls. What stands in braces
/// is the name of a constant.
fn named(line: &str) -> BTreeSet<String> {
    let code = line.split("//").next().unwrap_or_default();
    // Texts that are shown to people are examples.
    if !code.contains('"')
        || ["example:", "after_help"].iter().any(|text| code.trim_start().starts_with(text))
    {
        return BTreeSet::new();
    }
    let code = code.replace("'\"'", "").replace("\\\"", " ");
    let code = TABLES.iter().fold(code, |code, table| code.replace(&table.full_name(), ""));
    let words = ["SELECT ", "WHERE ", "ORDER BY ", "GROUP BY ", " AND ", " >= ", " <= ", " < ", " > ", " = "];
    let calls = ["column_by_name(", "column_with_name(", "col(", "ident(", "index_of(", "one_of("];
    let reads = ["text(", "number(", "integer(", "count(", "nanos(", "source_id(", "list("];
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '{' | '}');
    let mut named = BTreeSet::new();
    let pieces: Vec<&str> = code.split('"').collect();
    for pair in pieces.chunks(2) {
        let [before, text] = pair else { continue };
        if words.iter().any(|word| text.contains(word)) {
            named.extend(text.split(|c| !is_letter(c)).map(str::to_owned));
        }
        let is_read = before.contains("row.") && reads.iter().any(|read| before.ends_with(read));
        if is_read || calls.iter().any(|call| before.ends_with(call)) {
            named.insert((*text).to_owned());
        }
    }
    named
}

#[test]
fn columns_are_named_where_their_table_is_declared_and_nowhere_else() {
    assert!(named("let id = row.text(\"event_id\")?;").contains("event_id"));
    assert!(named("\"SELECT event_id, {x} FROM t\"").contains("event_id"));
    assert!(named("filter.and(col(\"event_id\"))").contains("event_id"));
    assert!(!named("\"SELECT {event_id} FROM t\"").contains("event_id"));
    assert!(!named("// \"SELECT event_id\"").contains("event_id"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let columns: BTreeSet<&str> =
        TABLES.iter().flat_map(|table| table.columns.iter().map(|column| column.name)).collect();
    // Of the SQL functions the documentation, with its examples, is written there.
    let exempt = ["test", "/slt", "query/src/functions/"];
    let mut found = Vec::new();
    for folder in [
        "api/src",
        "catalog/src",
        "streams/src",
        "crates/query/src",
        "crates/seislake/src",
        "lakehouse/src",
        "bench/src",
    ] {
        for (path, text) in files(root.join(folder)) {
            let place = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            if exempt.iter().any(|part| place.contains(part)) {
                continue;
            }
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for (number, line) in (1..).zip(code.lines()) {
                for column in named(line).iter().filter(|name| columns.contains(name.as_str())) {
                    found.push(format!("{place}:{number}: {column}: {}", line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "use the constants of crates/tables:\n{}", found.join("\n"));
}

/// The paths that a text names behind `crate::` or `super::`, groups in braces taken apart; each begins with that word.
fn paths(text: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (start, word) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        if text[..start].ends_with(is_word) || text[..start].ends_with("super::") {
            continue;
        }
        let mut head = vec![word.trim_end_matches(':').to_owned()];
        let mut rest = &text[start + word.len()..];
        while let Some(further) = rest.strip_prefix("super::") {
            head.push("super".to_owned());
            rest = further;
        }
        expand(&head, rest, &mut found);
    }
    found
}

/// Adds the paths of a use tree that begins `rest`, below `head`.
fn expand(head: &[String], rest: &str, found: &mut Vec<Vec<String>>) {
    let Some(group) = rest.strip_prefix('{') else {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let path = [head, &[rest[..end].to_owned()]].concat();
        return match rest[end..].strip_prefix("::") {
            Some(further) => expand(&path, further, found),
            None => found.push(path),
        };
    };
    let (mut depth, mut begin) = (0, 0);
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                expand(head, group[begin..index].trim(), found);
                begin = index + 1;
            }
            '}' if depth == 0 => return expand(head, group[begin..index].trim(), found),
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Which file uses which, by module; a module and those within it are one affair.
fn uses_of(folder: PathBuf) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let mut modules = BTreeMap::new();
    for (path, text) in files(folder.clone()) {
        let place = path.strip_prefix(&folder).expect("below the folder").with_extension("");
        let mut module: Vec<String> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.iter().any(|part| part == "tests") || path.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|l| format!("{l}\n"))
            .collect();
        modules.insert(module, paths(&code));
    }
    let known: BTreeSet<Vec<String>> = modules.keys().cloned().collect();
    let target = |module: &[String], path: &[String]| {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let base = if ups > 0 { &module[..module.len().saturating_sub(ups)] } else { &[] };
        let mut whole = [base, &path[ups.max(1)..]].concat();
        while !known.contains(&whole) {
            whole.pop()?;
        }
        let related = whole.starts_with(module) || module.starts_with(&whole);
        (!related).then_some(whole)
    };
    let uses = |(module, paths): (&Vec<String>, &Vec<Vec<String>>)| {
        (module.clone(), paths.iter().filter_map(|path| target(module, path)).collect())
    };
    modules.iter().map(uses).collect()
}

/// A way from a module back to itself, if there is one.
fn circle(uses: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<String> {
    fn walk<'a>(
        module: &'a Vec<String>,
        uses: &'a BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
        way: &mut Vec<&'a Vec<String>>,
        done: &mut BTreeSet<&'a Vec<String>>,
    ) -> Option<String> {
        if let Some(begin) = way.iter().position(|one| *one == module) {
            let names: Vec<String> = way[begin..].iter().chain([&module]).map(|one| one.join("::")).collect();
            return Some(names.join(" uses "));
        }
        if !done.insert(module) {
            return None;
        }
        way.push(module);
        let found = uses.get(module)?.iter().find_map(|next| walk(next, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| walk(module, uses, &mut Vec::new(), &mut done))
}

#[test]
fn no_files_of_a_shell_use_each_other_in_a_circle() {
    let names = |text: &str| paths(text).iter().map(|path| path.join("/")).collect::<Vec<_>>();
    assert_eq!(names("use crate::{a::{b, c}, d};"), ["crate/a/b", "crate/a/c", "crate/d"]);
    assert_eq!(names("super::super::x::f()"), ["super/super/x/f"]);
    let one = |module: &str, used: &str| (vec![module.to_owned()], BTreeSet::from([vec![used.to_owned()]]));
    assert!(circle(&BTreeMap::from([one("a", "b"), one("b", "c"), one("c", "a")])).is_some());
    assert!(circle(&BTreeMap::from([one("a", "b"), one("b", "c")])).is_none());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for room in ["api", "catalog"] {
        let uses = uses_of(root.join(room).join("src"));
        assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 50, "{room} was not read");
        assert_eq!(circle(&uses), None, "{room}");
    }
}

#[test]
fn files_that_the_architecture_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("the architecture");
    let mut there = Vec::new();
    for room in ["api/src", "catalog/src", "streams/src", "lakehouse/src", "bench/src", "crates", "tests/e2e"]
    {
        there.extend(files_below(root.join(room)));
    }
    let named: BTreeSet<&str> = text.split('`').filter(|word| word.ends_with(".rs")).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(there.iter().any(|path| path.ends_with(name)), "there is no {name}");
    }
}

/// Names of all files below a folder, of whatever kind they are.
fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}
