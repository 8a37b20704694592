//! Refuses queries nested deeper than allowed, in one sentence. Introspection is not counted: its depth is that of
//! the tools and its answer does not touch the lake.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery};
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{ServerResult, Variables};

use crate::error::{ApiError, ErrorCode};

/// Extension that holds the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct DepthGuard {
    pub(super) depth_max: usize,
}

impl ExtensionFactory for DepthGuard {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for DepthGuard {
    async fn parse_query(
        &self,
        context: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(context, query, variables).await?;
        let depth = document_depth(&document);
        if depth > self.depth_max {
            let error = ApiError::new(
                ErrorCode::QueryTooDeep,
                format!("the query is nested {depth} levels deep; at most {} are answered", self.depth_max),
            )
            .hint("ask for the inner objects in a second query by their id");
            return Err(super::serve::server_error(&error));
        }
        Ok(document)
    }
}

/// Levels of fields of the deepest operation.
fn document_depth(document: &ExecutableDocument) -> usize {
    let mut measured = HashMap::new();
    document
        .operations
        .iter()
        .map(|(_, operation)| depth(document, &operation.node.selection_set.node, &mut measured))
        .max()
        .unwrap_or(0)
}

/// `measured` holds the depth of fragments already seen; one in progress counts as nothing, which ends cycles.
fn depth<'a>(
    document: &'a ExecutableDocument,
    selections: &'a SelectionSet,
    measured: &mut HashMap<&'a str, usize>,
) -> usize {
    let mut deepest = 0;
    for selection in &selections.items {
        let found = match &selection.node {
            Selection::Field(field) if field.node.name.node.starts_with("__") => 0,
            Selection::Field(field) => 1 + depth(document, &field.node.selection_set.node, measured),
            Selection::InlineFragment(inline) => depth(document, &inline.node.selection_set.node, measured),
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                match (measured.get(name), document.fragments.get(name)) {
                    (Some(known), _) => *known,
                    (None, Some(fragment)) => {
                        measured.insert(name, 0);
                        let found = depth(document, &fragment.node.selection_set.node, measured);
                        measured.insert(name, found);
                        found
                    }
                    (None, None) => 0,
                }
            }
        };
        deepest = deepest.max(found);
    }
    deepest
}
