//! The sections of the stages: those of ours bear their names, those of a configuration's own stand below `[stage.NAME]`.

use std::collections::BTreeMap;

use seislake_streams::topology::{OwnStage, Sections, SettingsSpec, StageSpec, all_stages};
use toml::{Table, Value};

use super::{a_type, fit, proposal, ranges};

/// Section of the stages of a configuration's own.
pub(super) const OWN: &str = "stage";

/// What a configuration says of stages.
#[derive(Debug, Default)]
pub(super) struct Stages {
    pub(super) sections: Sections,
    /// Specifications of those of its own.
    pub(super) specs: Vec<&'static StageSpec>,
    /// Names of those of its own that cannot be made: why is told.
    pub(super) refused: Vec<String>,
    /// All settings of stages, as a configuration says them.
    pub(super) shown: BTreeMap<String, Value>,
}

/// Every key of every stage of ours with its default.
pub(super) fn defaults() -> anyhow::Result<Vec<(&'static str, Table)>> {
    all_stages()
        .into_iter()
        .map(|stage| Ok((stage.name, Table::try_from((stage.settings.defaults)()?)?)))
        .collect()
}

/// Whether the value of a key may be of another type than its default.
pub(super) fn of_several_types(section: &str, key: &str) -> bool {
    all_stages()
        .into_iter()
        .any(|stage| stage.name == section && stage.settings.of_several_types.contains(&key))
}

/// Takes the sections of the stages out of `merged`, with all that is wrong in them.
pub(super) fn take(merged: &mut Table, defaults: &Table, problems: &mut Vec<String>) -> Stages {
    let mut stages = Stages::default();
    let own = merged.remove(OWN);
    let mut of_kinds = BTreeMap::new();
    for stage in all_stages() {
        let Some(Value::Table(mut values)) = merged.remove(stage.name) else { continue };
        let default = |key: &str| defaults.get(stage.name)?.get(key).cloned();
        check(stage.name, &mut values, &stage.settings, default, problems);
        set(&mut stages.sections, stage.name, &values, problems);
        stages.shown.insert(stage.name.to_owned(), Value::Table(values.clone()));
        of_kinds.insert(stage.name, values);
    }
    let Some(Value::Table(own)) = own else { return stages };
    let mut shown = Table::new();
    for (name, said) in own {
        let Value::Table(keys) = said else { continue };
        let section = format!("{OWN}.{name}");
        let spec = match own_stage(&name, &keys) {
            Ok(spec) => spec,
            Err(problem) => {
                problems.push(format!("{section}: {problem}"));
                stages.refused.push(name);
                continue;
            }
        };
        let of_kind = of_kinds.get(spec.kind).cloned().unwrap_or_default();
        let mut values = of_kind.clone();
        for (key, value) in keys.iter().filter(|(key, _)| !NAMES.contains(&key.as_str())) {
            match of_kind.get(key) {
                Some(_) if spec.log_name == spec.name && spec.settings.of_all.contains(&key.as_str()) => {
                    let kind = spec.kind;
                    problems.push(format!("{section}.{key} holds for all stages: set {kind}.{key} instead"));
                }
                None => {
                    let near = proposal(key, of_kind.keys().map(String::as_str).chain(NAMES));
                    problems.push(format!("unknown key \"{section}.{key}\"{near}"));
                }
                Some(_) if spec.settings.of_several_types.contains(&key.as_str()) => {
                    values.insert(key.clone(), value.clone());
                }
                Some(default) => match fit(default, value.clone()) {
                    Some(value) => drop(values.insert(key.clone(), value)),
                    None => problems.push(format!("{section}.{key} must be {}", a_type(default))),
                },
            }
        }
        check(&section, &mut values, &spec.settings, |key| of_kind.get(key).cloned(), problems);
        set(&mut stages.sections, spec.name, &values, problems);
        stages.specs.push(spec);
        values.extend(keys.into_iter().filter(|(key, _)| NAMES.contains(&key.as_str())));
        shown.insert(name, Value::Table(values));
    }
    stages.shown.insert(OWN.to_owned(), Value::Table(shown));
    stages
}

/// Keys that are no settings of the kind.
const NAMES: [&str; 3] = ["kind", "input", "replaces"];

fn own_stage(name: &str, keys: &Table) -> Result<&'static StageSpec, String> {
    let text = |key: &str| match keys.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{key} must be a string, not {}", a_type(other))),
    };
    let kinds = || all_stages().iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
    let replaces = text("replaces")?;
    let kind = text("kind")?.or_else(|| replaces.clone());
    let kind = kind.ok_or_else(|| format!("kind is missing: which stage it is, of {}", kinds()))?;
    let own = OwnStage { name: name.to_owned(), kind, input: text("input")?, replaces };
    own.spec().map_err(|error| error.to_string())
}

fn check(
    section: &str,
    values: &mut Table,
    spec: &SettingsSpec,
    default: impl Fn(&str) -> Option<Value>,
    problems: &mut Vec<String>,
) {
    let range = |key: &str| {
        let range = spec.ranges.iter().find(|(known, ..)| *known == key);
        range.map(|(_, least, most)| (*least, *most))
    };
    problems.extend(ranges::mend_section(section, values, range, default));
    match serde_json::to_value(&*values) {
        Ok(values) => problems.extend((spec.problems)(section, &values)),
        Err(error) => problems.push(format!("{section}: {error}")),
    }
}

fn set(sections: &mut Sections, name: &str, values: &Table, problems: &mut Vec<String>) {
    if let Err(error) = sections.set(name, values) {
        problems.push(error.chain());
    }
}
