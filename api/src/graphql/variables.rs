//! What a document needs before it is executed and the library does not see to: its variables coerced as the
//! specification says (6.1.2), and selections that may end up empty.
//!
//! Defaults of variables become values, so that `@skip` and `@include` see them; a variable of a type that is not null
//! must be there; a single value for a list becomes a list of one, so that it is told where a list does not fit. Values of
//! enumerations, input objects and scalars of our own are checked by validation, where they are used; but for the conditions
//! of `@skip` and `@include`, of which the library takes a variable without a value for false.

use std::collections::HashSet;

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection,
    SelectionSet, Type, VariableDefinition,
};
use async_graphql::{Name, Positioned, Request, Value};
use seislake_query::shortened;

use crate::error::{ApiError, ErrorCode};

/// Gives each variable of the operation its value.
pub(super) fn coerce(request: &mut Request, document: &ExecutableDocument) -> Result<(), ApiError> {
    // Where the name fits no operation, execution says so.
    let Some(operation) = operation(document, request.operation_name.as_deref()) else { return Ok(()) };
    check_conditions(document, operation)?;
    for definition in &operation.variable_definitions {
        let (name, of) = (&definition.node.name.node, &definition.node.var_type.node);
        let wrong =
            |reason: String| ApiError::new(ErrorCode::InvalidQuery, format!("Variable \"${name}\" {reason}"));
        let value = match (request.variables.remove(name), &definition.node.default_value) {
            (Some(Value::Null), _) if !of.nullable => {
                return Err(wrong(format!("of non-null type \"{of}\" must not be null.")));
            }
            (Some(sent), _) => {
                let said = sent.to_string();
                coerced(of, sent)
                    .map_err(|reason| wrong(format!("got invalid value {}; {reason}", shortened(&said))))?
            }
            // One that does not fit its own type is told by validation.
            (None, Some(default)) => {
                coerced(of, default.node.clone()).unwrap_or_else(|_| default.node.clone())
            }
            (None, None) if of.nullable => continue,
            (None, None) => {
                return Err(wrong(format!("of required type \"{of}\" was not provided.")));
            }
        };
        request.variables.insert(name.clone(), value);
    }
    Ok(())
}

/// Variables that conditions depend on must have a value: their type says so, or a default (5.8.5 of the specification).
fn check_conditions(document: &ExecutableDocument, operation: &OperationDefinition) -> Result<(), ApiError> {
    let definition = |name: &Name| {
        operation.variable_definitions.iter().map(|known| &known.node).find(|known| known.name.node == *name)
    };
    let mut spread = HashSet::new();
    let mut open = vec![&operation.selection_set.node];
    while let Some(selections) = open.pop() {
        for selection in selections.items.iter().map(|selection| &selection.node) {
            for directive in conditions(selection) {
                let Some(condition) = directive.get_argument("if") else { continue };
                let Err(name) = condition.node.clone().into_const_with(Err::<Value, Name>) else { continue };
                // One that is not defined is told by validation.
                let Some(VariableDefinition { var_type, default_value, .. }) = definition(&name) else {
                    continue;
                };
                let of = &var_type.node;
                let has_value =
                    !of.nullable || default_value.as_ref().is_some_and(|value| value.node != Value::Null);
                if !has_value || of.base != BaseType::Named(Name::new("Boolean")) {
                    let message = format!(
                        "Variable \"${name}\" of type \"{of}\" used in position expecting type \"Boolean!\"."
                    );
                    return Err(ApiError::new(ErrorCode::InvalidQuery, message));
                }
            }
            open.extend(inside(selection));
            if let Selection::FragmentSpread(fragment) = selection {
                let name = &fragment.node.fragment_name.node;
                let defined = document.fragments.get(name).filter(|_| spread.insert(name));
                open.extend(defined.map(|fragment| &fragment.node.selection_set.node));
            }
        }
    }
    Ok(())
}

fn operation<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a OperationDefinition> {
    let found = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.values().next()
        }
        (DocumentOperations::Multiple(_), None) => None,
    };
    found.map(|operation| &operation.node)
}

/// The value as one of the type, or why it is none. The guard bounds how deep types and values are.
fn coerced(of: &Type, value: Value) -> Result<Value, String> {
    if value == Value::Null {
        return match of.nullable {
            true => Ok(value),
            false => Err(format!("Expected non-nullable type \"{of}\" not to be null.")),
        };
    }
    match (&of.base, value) {
        (BaseType::List(of), Value::List(values)) => {
            let values: Result<Vec<Value>, String> =
                values.into_iter().map(|value| coerced(of, value)).collect();
            Ok(Value::List(values?))
        }
        (BaseType::List(of), value) => Ok(Value::List(vec![coerced(of, value)?])),
        (BaseType::Named(name), value) => {
            let fits = match name.as_str() {
                "Int" | "Float" => matches!(value, Value::Number(_)),
                "Boolean" => matches!(value, Value::Boolean(_)),
                "String" => matches!(value, Value::String(_)),
                "ID" => matches!(value, Value::String(_) | Value::Number(_)),
                _ => true,
            };
            if fits { Ok(value) } else { Err(format!("Expected type \"{name}\".")) }
        }
    }
}

/// The key of a field that stands where all others may be skipped: the library answers null for an object without fields,
/// where the specification has an empty one.
const STAND_IN: &str = "__stands_for_no_field";

/// Adds the stand-in to selections of which `@skip` and `@include` may leave nothing; false where there are none.
pub(super) fn add_stand_ins(document: &mut ExecutableDocument) -> bool {
    let operations: Vec<&mut SelectionSet> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![&mut operation.node.selection_set.node],
        DocumentOperations::Multiple(operations) => {
            operations.values_mut().map(|operation| &mut operation.node.selection_set.node).collect()
        }
    };
    let fragments = document.fragments.values_mut().map(|fragment| &mut fragment.node.selection_set.node);
    let mut selections: Vec<&mut SelectionSet> = operations.into_iter().chain(fragments).collect();
    if !selections.iter().any(|selections| has_conditions(selections)) {
        return false;
    }
    selections.iter_mut().for_each(|selections| add_stand_in(selections));
    true
}

/// What a selection depends on.
fn conditions(selection: &Selection) -> impl Iterator<Item = &Directive> {
    let directives = selection.directives().iter().map(|directive| &directive.node);
    directives.filter(|directive| matches!(directive.name.node.as_str(), "skip" | "include"))
}

fn is_conditional(selection: &Selection) -> bool {
    conditions(selection).next().is_some()
}

/// What a selection selects in turn; `None` of a spread fragment, which is looked at where it is defined.
fn inside(selection: &Selection) -> Option<&SelectionSet> {
    match selection {
        Selection::Field(field) => Some(&field.node.selection_set.node),
        Selection::InlineFragment(inline) => Some(&inline.node.selection_set.node),
        Selection::FragmentSpread(_) => None,
    }
}

fn has_conditions(selections: &SelectionSet) -> bool {
    let mut all = selections.items.iter().map(|selection| &selection.node);
    all.any(|selection| is_conditional(selection) || inside(selection).is_some_and(has_conditions))
}

fn add_stand_in(selections: &mut SelectionSet) {
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) => add_stand_in(&mut field.node.selection_set.node),
            Selection::InlineFragment(inline) => add_stand_in(&mut inline.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
    }
    let stays =
        |selection: &Selection| matches!(selection, Selection::Field(_)) && !is_conditional(selection);
    let Some(first) = selections.items.first() else { return };
    if selections.items.iter().any(|selection| stays(&selection.node)) {
        return;
    }
    let name = |text| first.position_node(Name::new(text));
    let field = Field {
        alias: Some(name(STAND_IN)),
        name: name("__typename"),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    let stand_in = first.position_node(Selection::Field(first.position_node(field)));
    selections.items.push(stand_in);
}

/// Takes the stand-ins out of an answer.
pub(super) fn remove_stand_ins(value: &mut Value) {
    match value {
        Value::List(values) => values.iter_mut().for_each(remove_stand_ins),
        Value::Object(fields) => {
            fields.shift_remove(STAND_IN);
            fields.values_mut().for_each(remove_stand_ins);
        }
        _ => {}
    }
}
