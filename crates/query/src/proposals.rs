//! What is near a name that is nothing: the sentence proposes it.

use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, SchemaError};
use datafusion::execution::session_state::SessionState;
use seislake_model::Error;

/// Names that a sentence proposes at most.
const PROPOSALS_MAX: usize = 3;

/// `"a", "b" or "c"`: the names nearest to `name`, if there are any that a slip of the hand would make it.
fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let name = name.to_lowercase();
    let slips_max = name.chars().count() / 3;
    let mut near: Vec<(usize, String)> =
        names.map(|other| (levenshtein(&name, &other.to_lowercase()), other)).collect();
    near.retain(|(slips, _)| *slips <= slips_max);
    near.sort();
    near.dedup();
    let quoted = near.into_iter().take(PROPOSALS_MAX).map(|(_, name)| format!("\"{name}\""));
    quoted.reduce(|said, name| format!("{said} or {name}"))
}

/// What the engine says of a column that is none, with those near it, or all of its tables.
pub(crate) fn of_columns(error: &SchemaError) -> Option<String> {
    let SchemaError::FieldNotFound { field, valid_fields } = error else { return None };
    let name = &field.name;
    let said = match &field.relation {
        Some(table) => format!("no column \"{name}\" in \"{table}\""),
        None => format!("no column \"{name}\""),
    };
    // Those of the table that was asked, by whatever part of its name.
    let asked = |other: &&Column| match (&field.relation, &other.relation) {
        (Some(table), Some(other)) => table.table() == other.table(),
        (Some(_), None) => false,
        (None, _) => true,
    };
    let names: Vec<String> = valid_fields.iter().filter(asked).map(|field| field.name.clone()).collect();
    if names.is_empty() {
        return Some(match &field.relation {
            Some(table) if !valid_fields.is_empty() => format!("{said}: there is no table of that name here"),
            _ => said,
        });
    }
    Some(match nearest(name, names.iter().cloned()) {
        Some(near) => format!("{said}; did you mean {near}?"),
        None => format!("{said}: there are {}", names.join(", ")),
    })
}

/// An error with the tables near the one that is none.
pub(crate) fn of_tables(mut error: Error, state: &SessionState) -> Error {
    let Some(name) = error.message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found"))
    else {
        return error;
    };
    let table = name.rsplit('.').next().unwrap_or(name).to_owned();
    let options = &state.config_options().catalog;
    let Some(catalog) = state.catalog_list().catalog(&options.default_catalog) else { return error };
    let name = name.strip_prefix(&format!("{}.", options.default_catalog)).unwrap_or(name).to_owned();
    let mut tables = vec![];
    for schema in catalog.schema_names() {
        if let Some(provider) = catalog.schema(&schema) {
            tables.extend(provider.table_names().into_iter().map(|table| (schema.clone(), table)));
        }
    }
    tables.sort();
    let full = |(schema, table): &(String, String)| format!("{schema}.{table}");
    let elsewhere: Vec<_> = tables.iter().filter(|(_, other)| *other == table).map(full).collect();
    let near = match elsewhere.is_empty() {
        false => Some(elsewhere.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ")),
        true => nearest(&name, tables.iter().map(full)).or_else(|| {
            let near: Vec<_> = tables.iter().filter(|(_, other)| levenshtein(other, &table) <= 1).collect();
            near.first().map(|found| format!("\"{}\"", full(found)))
        }),
    };
    if let Some(near) = near {
        error.message = format!("{}; did you mean {near}?", error.message);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use datafusion::catalog::MemoryCatalogProvider;
    use datafusion::catalog::{CatalogProvider, MemorySchemaProvider, SchemaProvider};
    use datafusion::datasource::empty::EmptyTable;

    use super::*;
    use crate::asking::{answer, answer_of};
    use crate::{SessionSettings, session};

    #[test]
    fn what_a_slip_of_the_hand_makes_is_near() {
        let names = || ["magnitude", "magnitude_type", "latitude", "time"].map(str::to_owned).into_iter();
        assert_eq!(nearest("magnitud", names()).as_deref(), Some("\"magnitude\""));
        assert_eq!(nearest("Latitude", names()).as_deref(), Some("\"latitude\""));
        assert_eq!(nearest("longitudinal", names()), None);
        assert_eq!(nearest("tim", names()).as_deref(), Some("\"time\""));
        assert_eq!(nearest("x", ["a", "X"].map(str::to_owned).into_iter()).as_deref(), Some("\"X\""));
        let several = ["abd", "abe", "abf", "abg"].map(str::to_owned).into_iter();
        assert_eq!(nearest("abc", several).as_deref(), Some("\"abd\" or \"abe\" or \"abf\""));
    }

    #[tokio::test]
    async fn sentences_propose_what_is_near() {
        let catalog = Arc::new(MemoryCatalogProvider::new());
        for (schema, names) in [("bulletin", ["events", "picks"]), ("waveform", ["segments", "packets"])] {
            let provider = MemorySchemaProvider::new();
            for name in names {
                let table = Arc::new(EmptyTable::new(Arc::new(Schema::empty())));
                provider.register_table(name.to_owned(), table).unwrap();
            }
            catalog.register_schema(schema, Arc::new(provider)).unwrap();
        }
        let context = session(catalog, &SessionSettings::default()).unwrap();
        for (sql, expected) in [
            ("SELECT 1 FROM bulletin.event", "did you mean \"bulletin.events\"?"),
            ("SELECT 1 FROM bulletin.segments", "did you mean \"waveform.segments\"?"),
            ("SELECT 1 FROM waveforms.packets", "did you mean \"waveform.packets\"?"),
            ("SELECT 1 FROM pick", "did you mean \"bulletin.picks\"?"),
            ("SELECT 1 FROM volcanoes", "not found"),
        ] {
            let said = answer_of(&context, sql).await;
            assert!(said.as_ref().is_err_and(|said| said.ends_with(expected)), "{sql}: {said:?}");
        }
        const T: &str = "(VALUES (1, 2)) AS t(magnitude, depth)";
        for (select, expected) in [
            ("magnitud", "no column \"magnitud\"; did you mean \"magnitude\"?"),
            ("t.deptth", "no column \"deptth\" in \"t\"; did you mean \"depth\"?"),
            ("u.depth", "no column \"depth\" in \"u\": there is no table of that name here"),
            ("\"Depth\"", "no column \"Depth\"; did you mean \"depth\"?"),
            ("volume", "no column \"volume\": there are magnitude, depth"),
        ] {
            let said = answer(&format!("SELECT {select} FROM {T}")).await;
            assert_eq!(said, Err(expected.to_owned()), "{select}");
        }
    }
}
