//! Calls that make little but may take days, and cannot be stopped: every letter of one argument is compared with every
//! letter of another, `strpos(repeat('a', 30000000), repeat('a', 10000000) || 'b')`.
//!
//! Steps are counted from the arguments before the call, rather too many than too few. What is short counts as one: the
//! engine's searches are linear in a text for it.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::{Like, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::Growth;
use super::sizes::{Arguments, Row};

/// Steps that count as one byte of a result: about what takes as long.
pub(super) const STEPS_OF_BYTE: u64 = 4;
/// Letters or elements that a search looks for in one step.
const SHORT: u64 = 64;
/// Steps in which a text is tried against a letter of a format.
const FORMAT_STEPS: u64 = 16;

type Steps = fn(&Arguments<'_>) -> Result<u64>;

/// The steps of a call; `None` for functions that take no more than their arguments are long.
pub(super) fn of_function(name: &str) -> Option<Steps> {
    let steps: Steps = match name {
        "levenshtein" => |of| of.rows(|row| row.bytes(0).saturating_mul(row.bytes(1))),
        "strpos" | "btrim" | "ltrim" | "rtrim" => {
            |of| of.rows(|row| row.bytes(0).saturating_mul(or_one(row.bytes(1))))
        }
        "array_has_all" | "array_has_any" => {
            |of| of.rows(|row| row.elements_of(0).saturating_mul(or_one(row.elements_of(1))))
        }
        "regexp_replace" | "regexp_like" | "regexp_match" | "regexp_count" | "regexp_instr" => {
            |of| of.rows(|row| steps_of_match(row, of_regular_expression))
        }
        "to_timestamp"
        | "to_timestamp_seconds"
        | "to_timestamp_millis"
        | "to_timestamp_micros"
        | "to_timestamp_nanos"
        | "to_date"
        | "to_time"
        | "to_unixtime" => {
            |of| of.rows(|row| if row.width() > 2 { row.all_bytes().saturating_mul(FORMAT_STEPS) } else { 0 })
        }
        _ => return None,
    };
    Some(steps)
}

/// Text times pattern, the first two arguments.
fn steps_of_match(row: &Row<'_>, of_pattern: fn(&str) -> u64) -> u64 {
    let pattern = row.text(1).map_or(1, of_pattern);
    row.bytes(0).saturating_mul(or_one(pattern))
}

const fn or_one(count: u64) -> u64 {
    if count > SHORT { count } else { 1 }
}

/// States of a pattern of `LIKE`: none where only its ends are open.
fn of_like(pattern: &str) -> u64 {
    let inner = pattern.trim_matches('%');
    if inner.contains(['%', '_']) { pattern.len() as u64 } else { 1 }
}

/// States of a regular expression: its letters, as often as it says that they or the groups around them are repeated.
fn of_regular_expression(pattern: &str) -> u64 {
    let mut letters = pattern.chars();
    // States so far in the groups around here, in this one, and of what a repetition would repeat.
    let mut around = Vec::new();
    let (mut here, mut last) = (0_u64, 0_u64);
    while let Some(letter) = letters.next() {
        match letter {
            '(' => {
                around.push(here);
                (here, last) = (0, 0);
            }
            ')' => {
                last = here;
                here = here.saturating_add(around.pop().unwrap_or(0));
            }
            '{' => {
                let count = repetitions(letters.by_ref().take_while(|letter| *letter != '}'));
                here = here.saturating_add(last.saturating_mul(count - 1));
                last = last.saturating_mul(count);
            }
            '*' | '+' | '?' | '|' => {}
            letter => {
                match letter {
                    '\\' => drop(letters.next()),
                    '[' => skip_class(&mut letters),
                    _ => {}
                }
                here = here.saturating_add(1);
                last = 1;
            }
        }
    }
    around.into_iter().fold(here, u64::saturating_add)
}

/// The largest number in `{2,5}`; one where there is none.
fn repetitions(inner: impl Iterator<Item = char>) -> u64 {
    let inner: String = inner.collect();
    let numbers = inner.split(',').filter_map(|number| number.trim().parse::<u64>().ok());
    numbers.max().unwrap_or(1).max(1)
}

fn skip_class(letters: &mut std::str::Chars<'_>) {
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            ']' => return,
            _ => {}
        }
    }
}

/// Whether an operator searches a pattern in a text.
pub(super) fn is_search(expression: &Expr) -> bool {
    match expression {
        Expr::Like(_) | Expr::SimilarTo(_) => true,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => of_operator(*op).is_some(),
        _ => false,
    }
}

const fn of_operator(operator: Operator) -> Option<Pattern> {
    match operator {
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
            Some(Pattern::RegularExpression)
        }
        Operator::LikeMatch | Operator::ILikeMatch | Operator::NotLikeMatch | Operator::NotILikeMatch => {
            Some(Pattern::Like)
        }
        _ => None,
    }
}

/// A search, its text measured against its pattern before.
pub(super) fn measured(expression: Expr) -> Transformed<Expr> {
    match expression {
        Expr::Like(like) => measured_like(like, Pattern::Like, Expr::Like),
        Expr::SimilarTo(like) => measured_like(like, Pattern::RegularExpression, Expr::SimilarTo),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match of_operator(op) {
            Some(pattern) if !is_cheap(&left, &right, pattern) => {
                let left = Box::new(text(*left, (*right).clone(), pattern));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
            _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        other => Transformed::no(other),
    }
}

fn measured_like(mut like: Like, pattern: Pattern, whole: fn(Like) -> Expr) -> Transformed<Expr> {
    if is_cheap(&like.expr, &like.pattern, pattern) {
        return Transformed::no(whole(like));
    }
    like.expr = Box::new(text(*like.expr, (*like.pattern).clone(), pattern));
    Transformed::yes(whole(like))
}

/// A short pattern that is written out: it stays as it is, for tables read less where they see such a condition.
fn is_cheap(searched: &Expr, pattern: &Expr, kind: Pattern) -> bool {
    let already =
        matches!(searched, Expr::ScalarFunction(call) if call.func.inner().as_any().is::<SearchText>());
    let written = match pattern {
        Expr::Cast(Cast { expr, .. }) => expr.as_ref(),
        other => other,
    };
    let short = match written {
        Expr::Literal(value, _) => {
            value.try_as_str().is_none_or(|text| or_one(kind.states(text.unwrap_or_default())) == 1)
        }
        _ => false,
    };
    already || short
}

fn text(searched: Expr, pattern: Expr, kind: Pattern) -> Expr {
    let function = SearchText { kind, signature: Signature::variadic_any(Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![searched, pattern]))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Like,
    RegularExpression,
}

impl Pattern {
    fn states(self, pattern: &str) -> u64 {
        match self {
            Self::Like => of_like(pattern),
            Self::RegularExpression => of_regular_expression(pattern),
        }
    }
}

/// Its first argument, once it has been measured against the second, the pattern that is searched in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SearchText {
    kind: Pattern,
    signature: Signature,
}

impl ScalarUDFImpl for SearchText {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "searched"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|text| text.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments = Arguments::new(&args.args, args.number_rows);
        let steps = match self.kind {
            Pattern::Like => arguments.rows(|row| steps_of_match(row, of_like)),
            Pattern::RegularExpression => arguments.rows(|row| steps_of_match(row, of_regular_expression)),
        };
        let name = match self.kind {
            Pattern::Like => "LIKE",
            Pattern::RegularExpression => "~",
        };
        Growth::of(&args.config_options).check_steps(name, steps?)?;
        Ok(args.args[0].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_patterns_are_counted() {
        for (pattern, expected) in [
            ("", 0),
            ("abc", 3),
            (r"\d{4}-\d{2}-\d{2}", 10),
            ("(ab){3}", 6),
            ("((a{10}){10}){10}", 1000),
            ("[a-z{9}]{5}", 5),
            ("a{2,7}|b*", 8),
            (r"[\]]{3}(", 3),
            ("a{99999999}", 99_999_999),
        ] {
            assert_eq!(of_regular_expression(pattern), expected, "{pattern}");
        }
        assert_eq!((of_like("%abc%"), of_like("a%c"), of_like("_bc%")), (1, 3, 4));
    }
}
