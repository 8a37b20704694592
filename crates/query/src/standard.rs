//! Operators of standard SQL that the engine takes for something else: written as what they mean, or refused.
//!
//! ```text
//! x SIMILAR TO 'HH_|BH%'   (of the whole text)  ──►  x SIMILAR TO '^(?s:HH.|BH.*)$'   for the engine searches anywhere
//! x = ANY (SELECT …)                            ──►  x IN (SELECT …)
//! x <> ALL (SELECT …)                           ──►  x NOT IN (SELECT …)
//! x < ALL (SELECT …)                            refused: the engine mixes up columns of the inner and the outer query
//! ```

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, ValueWithSpan, visit_expressions_mut};
use seislake_model::ErrorKind;

use crate::error::{QueryError, Result};
use crate::recursion::name_first_rows;

/// Writes a statement so that the engine means what the standard says.
///
/// # Errors
/// It says something for which there is no such form.
pub(crate) fn settle(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(statement) => {
            name_first_rows(statement);
            let settled = visit_expressions_mut(statement.as_mut(), |expression| match settled(expression) {
                Ok(()) => ControlFlow::Continue(()),
                Err(message) => ControlFlow::Break(message),
            });
            match settled {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(message) => {
                    Err(QueryError { kind: ErrorKind::Invalid, message: message.to_owned(), source: None })
                }
            }
        }
        Statement::Explain(explain) => settle(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

fn settled(expression: &mut Expr) -> Result<(), &'static str> {
    const QUANTIFIED: &str = "ANY and ALL of a subquery are answered as = ANY (IN) and <> ALL (NOT IN) only: compare with \
                              (SELECT min(…) …) or (SELECT max(…) …)";
    match expression {
        Expr::AnyOp { left, compare_op, right, .. } if is_subquery(right) => {
            if *compare_op != BinaryOperator::Eq {
                return Err(QUANTIFIED);
            }
            *expression = membership(left, right, false);
        }
        Expr::AllOp { left, compare_op, right } if is_subquery(right) => {
            if *compare_op != BinaryOperator::NotEq {
                return Err(QUANTIFIED);
            }
            *expression = membership(left, right, true);
        }
        Expr::SimilarTo { pattern, escape_char, .. } => {
            let escape = match escape_char.take() {
                None => Some('\\'),
                Some(Value::SingleQuotedString(text)) => text.chars().next(),
                Some(_) => return Err("the escape of SIMILAR TO is one letter in quotes"),
            };
            let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = pattern.as_mut()
            else {
                return Err(
                    "the pattern of SIMILAR TO must be a text in quotes; regexp_like takes any other",
                );
            };
            *text = whole_text(text, escape);
        }
        _ => {}
    }
    Ok(())
}

fn is_subquery(expression: &Expr) -> bool {
    match expression {
        Expr::Subquery(_) => true,
        Expr::Nested(inner) => is_subquery(inner),
        _ => false,
    }
}

fn membership(left: &mut Expr, right: &mut Expr, negated: bool) -> Expr {
    let mut right = std::mem::replace(right, Expr::Value(Value::Null.into()));
    while let Expr::Nested(inner) = right {
        right = *inner;
    }
    let left = std::mem::replace(left, Expr::Value(Value::Null.into()));
    match right {
        Expr::Subquery(subquery) => Expr::InSubquery { expr: Box::new(left), subquery, negated },
        other => other,
    }
}

/// The regular expression of a pattern of SIMILAR TO: `%` and `_` as in LIKE, `| * + ? { } ( ) [ ]` as they are, all else
/// letters. It holds for the whole text.
fn whole_text(pattern: &str, escape: Option<char>) -> String {
    let mut written = String::from("^(?s:");
    let mut in_class = false;
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => push_letter(&mut written, letters.next().unwrap_or(letter)),
            ']' if in_class => {
                in_class = false;
                written.push(']');
            }
            letter if in_class => written.push(letter),
            '[' => {
                in_class = true;
                written.push('[');
            }
            '%' => written.push_str(".*"),
            '_' => written.push('.'),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => written.push(letter),
            letter => push_letter(&mut written, letter),
        }
    }
    written.push_str(")$");
    written
}

/// A letter that stands for itself.
fn push_letter(written: &mut String, letter: char) {
    if letter.is_ascii_punctuation() {
        written.push('\\');
    }
    written.push(letter);
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn patterns_are_of_the_whole_text() {
        let mut wrong = vec![];
        for (condition, expected) in [
            ("'HHZ' SIMILAR TO 'H'", false),
            ("'HHZ' SIMILAR TO 'H%'", true),
            ("'HHZ' SIMILAR TO '(HH|BH)_'", true),
            ("'HHZ' SIMILAR TO 'H|Z'", false),
            ("'HHZ' SIMILAR TO 'H{2}[A-Z]'", true),
            ("'a.b' SIMILAR TO 'a_b'", true),
            ("'axb' SIMILAR TO 'a.b'", false),
            ("'a%b' SIMILAR TO 'a\\%b'", true),
            ("'axb' SIMILAR TO 'a\\%b'", false),
            ("'a%b' SIMILAR TO 'a!%b' ESCAPE '!'", true),
            ("'^a$' SIMILAR TO '^a$'", true),
            ("E'a\\nb' SIMILAR TO 'a_b'", true),
            ("'b' NOT SIMILAR TO 'a'", true),
            ("'ab' NOT SIMILAR TO '[a-c]+'", false),
        ] {
            let said = answer(&format!("SELECT {condition}")).await;
            if said != Ok(format!("{expected}")) {
                wrong.push(format!("{condition}: {said:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[tokio::test]
    async fn any_and_all_of_the_same_table_are_right_or_refused() {
        const T: &str = "WITH t AS (SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS v(n, s))";
        for (condition, expected) in [
            ("s = ANY (SELECT s FROM t WHERE n = 1)", "1"),
            ("s = SOME (SELECT s FROM t WHERE n < 3)", "2"),
            ("s <> ALL (SELECT s FROM t WHERE n = 1)", "2"),
        ] {
            let said = answer(&format!("{T} SELECT count(*) FROM t WHERE {condition}")).await;
            assert_eq!(said, Ok(expected.to_owned()), "{condition}");
        }
        for condition in
            ["n > ANY (SELECT n FROM t)", "n >= ALL (SELECT n FROM t)", "n <> ANY (SELECT n FROM t)"]
        {
            let said = answer(&format!("{T} SELECT count(*) FROM t WHERE {condition}")).await;
            assert!(said.as_ref().is_err_and(|said| said.contains("ANY and ALL")), "{condition}: {said:?}");
        }
    }
}
