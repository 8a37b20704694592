//! Puts the fields of an answer in the order of the query, as the GraphQL specification demands (June 2018 §3.6, "ordered by the
//! order in which they appear"). The executor resolves fields side by side and stores them as they finish.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextParseQuery};
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Response, ServerResult, Value, Variables};

/// Extension that keeps the query of a request until its answer is there.
#[derive(Debug, Default)]
pub(super) struct FieldOrder {
    document: Mutex<Option<ExecutableDocument>>,
}

impl ExtensionFactory for FieldOrder {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self::default())
    }
}

#[async_trait::async_trait]
impl Extension for FieldOrder {
    async fn parse_query(
        &self,
        context: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(context, query, variables).await?;
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = Some(document.clone());
        Ok(document)
    }

    async fn execute(
        &self,
        context: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let mut response = next.run(context, operation_name).await;
        let document = self.document.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(document) = document {
            let named = |name: Option<&Name>| {
                operation_name.is_none_or(|wanted| name.is_some_and(|name| name == wanted))
            };
            let operation = document.operations.iter().find(|(name, _)| named(*name));
            if let Some((_, operation)) = operation {
                let order = Order::of(&document, &[&operation.node.selection_set.node]);
                order.apply(&mut response.data);
            }
        }
        response
    }
}

/// The fields of one object by response key, in the order of the query, each with the order inside it. The size is that of the
/// query with its fragments written out, which the cost limit bounds before anything is executed.
#[derive(Debug)]
struct Order(IndexMap<Name, Order>);

impl Order {
    fn of(document: &ExecutableDocument, selections: &[&SelectionSet]) -> Self {
        let mut fields: IndexMap<Name, Vec<&SelectionSet>> = IndexMap::new();
        let mut spread = HashSet::new();
        for selection in selections {
            collect(document, selection, &mut fields, &mut spread);
        }
        Self(fields.into_iter().map(|(key, inner)| (key, Self::of(document, &inner))).collect())
    }

    fn apply(&self, value: &mut Value) {
        match value {
            Value::List(values) => values.iter_mut().for_each(|value| self.apply(value)),
            Value::Object(fields) => {
                fields.sort_by_cached_key(|key, _| self.0.get_index_of(key).unwrap_or(usize::MAX));
                for (key, value) in fields {
                    if let Some(order) = self.0.get(key) {
                        order.apply(value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// `CollectFields` of the specification, without conditions: what a condition excludes is not in the answer.
fn collect<'a>(
    document: &'a ExecutableDocument,
    selections: &'a SelectionSet,
    fields: &mut IndexMap<Name, Vec<&'a SelectionSet>>,
    spread: &mut HashSet<&'a str>,
) {
    for selection in &selections.items {
        match &selection.node {
            Selection::Field(field) => {
                let key = field.node.response_key().node.clone();
                fields.entry(key).or_default().push(&field.node.selection_set.node);
            }
            Selection::InlineFragment(inline) => {
                collect(document, &inline.node.selection_set.node, fields, spread);
            }
            Selection::FragmentSpread(named) => {
                let name = named.node.fragment_name.node.as_str();
                if let (true, Some(fragment)) = (spread.insert(name), document.fragments.get(name)) {
                    collect(document, &fragment.node.selection_set.node, fields, spread);
                }
            }
        }
    }
}
