//! What others wrote: each library that a package names is used by its code, and what ships bears a licence that lets it.
//! Advisories need a database that is not here: `deny.toml` is for whoever has one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::layering::files;

fn metadata(more: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(more)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// The platform that is built for: crates of others need not be there.
fn host() -> String {
    let output = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo runs");
    let said = String::from_utf8(output.stdout).expect("a text");
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn every_dependency_is_used() {
    let metadata = metadata(&["--no-deps"]);
    let mut unused = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let mut sources = String::new();
        for target in package["targets"].as_array().expect("targets") {
            // A target's folder holds its modules.
            let folder = Path::new(text(target, "src_path")).parent().expect("a folder");
            sources.extend(files(folder.to_owned()).into_values());
        }
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = dependency["rename"].as_str().unwrap_or(text(dependency, "name")).replace('-', "_");
            let is_word = |before: Option<char>| !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let is_used = sources.match_indices(&name).any(|(at, found)| {
                is_word(sources[..at].chars().next_back())
                    && is_word(sources[at + found.len()..].chars().next())
            });
            if !is_used {
                unused.push(format!("{}: {name}", text(package, "name")));
            }
        }
    }
    assert!(unused.is_empty(), "named in Cargo.toml and not used: {unused:?}");
}

/// Whether the licences that a package offers let us ship it: any of alternatives, all of what stands together.
///
/// ```text
/// one  = all { OR all }      all = part { AND part }      part = ( one ) | name [ WITH name ]
/// ```
struct Licence<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a BTreeSet<String>,
}

impl<'a> Licence<'a> {
    fn is_allowed(text: &str, allowed: &BTreeSet<String>) -> bool {
        let text = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let mut licence = Licence { words: text.split_whitespace().collect(), at: 0, allowed };
        licence.one() && licence.at == licence.words.len()
    }

    fn next(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.at) == Some(&word);
        self.at += usize::from(is_next);
        is_next
    }

    fn one(&mut self) -> bool {
        let mut holds = self.all();
        while self.next("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.part();
        while self.next("AND") {
            holds &= self.part();
        }
        holds
    }

    fn part(&mut self) -> bool {
        if self.next("(") {
            let holds = self.one();
            return self.next(")") && holds;
        }
        let Some(name) = self.words.get(self.at).copied() else { return false };
        self.at += 1;
        let name = match self.next("WITH") {
            true => format!("{name} WITH {}", self.words.get(self.at).unwrap_or(&"")),
            false => name.to_owned(),
        };
        self.at += usize::from(name.contains(" WITH "));
        self.allowed.contains(&name)
    }
}

#[test]
fn what_ships_bears_licences_that_let_it() {
    let deny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deny.toml");
    let deny: toml::Table = std::fs::read_to_string(deny).expect("deny.toml").parse().expect("TOML");
    let allowed = deny["licenses"]["allow"].as_array().expect("a list");
    let allowed: BTreeSet<String> =
        allowed.iter().map(|name| name.as_str().expect("a name").to_owned()).collect();
    for (text, holds) in [
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("GPL-3.0/MIT", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("", false),
    ] {
        assert_eq!(Licence::is_allowed(text, &allowed), holds, "{text}");
    }

    let metadata = metadata(&["--filter-platform", &host()]);
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (text(package, "id"), package))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    let of_ours = |id: &&&str| text(packages[**id], "name") == "seislake";
    let mut waiting: Vec<&str> = packages.keys().filter(of_ours).copied().collect();
    let mut shipped = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !shipped.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                waiting.push(text(dependency, "pkg"));
            }
        }
    }
    assert!(shipped.len() > 300, "{} packages ship", shipped.len());
    let refused: Vec<String> = shipped
        .into_iter()
        .map(|id| packages[id])
        .filter(|package| !Licence::is_allowed(text(package, "license"), &allowed))
        .map(|package| format!("{}: \"{}\"", text(package, "name"), text(package, "license")))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}
