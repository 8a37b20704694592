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
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, DateTimeField, ExactNumberInfo, Expr, Fetch,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, LimitClause,
    ObjectName, Query, SelectFlavor, SelectItem, SetExpr, Statement as SqlStatement, TimezoneInfo,
    UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut, WildcardAdditionalOptions,
    visit_expressions_mut,
};
use seislake_model::{Result, Timestamp};

use crate::error::refused;
use crate::merged_keys;
use crate::recursion::name_first_rows;
use crate::rewrite::Membership;
use crate::{named_windows, names};

/// Writes a statement so that the engine means what the standard says.
///
/// # Errors
/// It says something for which there is no such form.
pub(crate) fn settle(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(statement) => {
            settle_queries(statement)?;
            named_windows::write_out(statement).map_err(refused)?;
            names::number_columns(statement);
            name_first_rows(statement).map_err(refused)?;
            merged_keys::write_out(statement).map_err(refused)?;
            let settled = visit_expressions_mut(statement.as_mut(), |expression| match settled(expression) {
                Ok(()) => ControlFlow::Continue(()),
                Err(message) => ControlFlow::Break(message),
            });
            match settled {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(message) => Err(refused(message)),
            }
        }
        Statement::Explain(explain) => settle(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

/// What stands around the expressions of a query.
fn settle_queries(statement: &mut SqlStatement) -> Result<()> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(refused(message)),
    }
}

/// Rows that no table has. OFFSET alone loses the order below it, or is applied twice: the engine keeps both where a LIMIT
/// stands beside it.
const ROWS_MAX: u64 = 1 << 61;

struct Queries;

impl VisitorMut for Queries {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && select.flavor == SelectFlavor::FromFirstNoSelect
            && select.projection.is_empty()
        {
            select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
        }
        if let Some(fetch) = query.fetch.take()
            && let Err(message) = limited(query, fetch)
        {
            return ControlFlow::Break(message);
        }
        if let Some(LimitClause::LimitOffset { limit: limit @ None, offset: Some(_), .. }) =
            &mut query.limit_clause
        {
            *limit = Some(number(ROWS_MAX));
        }
        ControlFlow::Continue(())
    }
}

/// FETCH is LIMIT.
fn limited(query: &mut Query, fetch: Fetch) -> Result<(), &'static str> {
    let Fetch { with_ties, percent, quantity } = fetch;
    if with_ties || percent {
        return Err("FETCH FIRST is answered with a count of rows and ONLY: rank() OVER (…) finds ties");
    }
    let count = quantity.unwrap_or_else(|| number(1));
    match &mut query.limit_clause {
        None => {
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: vec![] });
            Ok(())
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => {
            *limit = Some(count);
            Ok(())
        }
        Some(_) => Err("a statement has LIMIT or FETCH FIRST, not both"),
    }
}

fn number(number: u64) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}

/// `name(arguments)`
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

fn take(expression: &mut Expr) -> Expr {
    std::mem::replace(expression, Expr::Value(Value::Null.into()))
}

fn settled(expression: &mut Expr) -> Result<(), &'static str> {
    const QUANTIFIED: &str = "ANY and ALL of a subquery are answered as = ANY (IN) and <> ALL (NOT IN) only: compare with \
                              (SELECT min(…) …) or (SELECT max(…) …)";
    match expression {
        Expr::AnyOp { left, compare_op, right, .. } if is_subquery(right) => {
            if *compare_op != BinaryOperator::Eq {
                return Err(QUANTIFIED);
            }
            *expression = membership(left, right, Membership::In);
        }
        Expr::AllOp { left, compare_op, right } if is_subquery(right) => {
            if *compare_op != BinaryOperator::NotEq {
                return Err(QUANTIFIED);
            }
            *expression = membership(left, right, Membership::NotIn);
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
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let escape = match escape_char.take() {
                None => return Ok(()),
                Some(Value::SingleQuotedString(text)) => text.chars().next(),
                Some(_) => return Err("the escape of LIKE is one letter in quotes"),
            };
            let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = pattern.as_mut()
            else {
                return Err("the pattern of LIKE with ESCAPE must be a text in quotes");
            };
            *text = with_backslashes(text, escape).ok_or("the pattern of LIKE ends with its escape")?;
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if is_bare_power(expr) => {
            return Err("-x ^ y means two things: write (-x) ^ y or -(x ^ y)");
        }
        Expr::BinaryOp { left, op: BinaryOperator::BitwiseXor, right } => {
            *expression = call("power", vec![double(take(left)), take(right)]);
        }
        Expr::Extract { field: DateTimeField::Isodow, .. } => *expression = plus_one(take(expression)),
        Expr::AtTimeZone { timestamp, time_zone } => {
            *expression = call("timezone", vec![take(time_zone), take(timestamp)]);
        }
        Expr::TypedString(typed) if has_zone(&typed.data_type) => {
            let value = Expr::Value(typed.value.clone());
            *expression = moment(value);
        }
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None, ..
        } if has_zone(data_type) => {
            *expression = moment(take(expr));
        }
        Expr::Cast { expr, data_type, .. } if is_decimal(data_type) => {
            if let Some(digits) = digits_of(expr) {
                **expr = Expr::Value(Value::SingleQuotedString(digits).into());
            }
        }
        Expr::Cast { data_type, .. } => {
            if let Some(length) = length_of(data_type) {
                *data_type = DataType::Varchar(None);
                let text = take(expression);
                *expression = call("left", vec![text, number(length)]);
            }
        }
        Expr::Function(function) => {
            if is_weekday(function) {
                *expression = plus_one(take(expression));
            } else if let Some((left, right)) = modulo(function) {
                let product = Expr::BinaryOp { left, op: BinaryOperator::Modulo, right };
                *expression = Expr::Nested(Box::new(product));
            }
        }
        _ => {}
    }
    Ok(())
}

/// `x ^ y` without brackets around it, as it was settled before what stands around: brackets within brackets show that.
fn is_bare_power(value: &Expr) -> bool {
    let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = value else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { expr, .. }))) = list.args.first() else {
        return false;
    };
    matches!(&**expr, Expr::Nested(inner) if matches!(**inner, Expr::Nested(_)))
}

/// A power of whole numbers may be none: 2 ^ -1.
fn double(value: Expr) -> Expr {
    let kind = CastKind::Cast;
    let data_type = DataType::Double(ExactNumberInfo::None);
    let value = Expr::Nested(Box::new(Expr::Nested(Box::new(value))));
    Expr::Cast { kind, expr: Box::new(value), data_type, array: false, format: None }
}

/// The engine takes it for a time without a zone.
fn has_zone(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone))
}

/// A value as a moment in UTC: in nanoseconds where they are known to hold it.
fn moment(value: Expr) -> Expr {
    let near = match &value {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            text.parse::<Timestamp>().is_ok()
        }
        _ => false,
    };
    let unit = if near { "Nanosecond" } else { "Microsecond" };
    let kind = Value::SingleQuotedString(format!("Timestamp({unit}, Some(\"+00:00\"))"));
    call("arrow_cast", vec![value, Expr::Value(kind.into())])
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal(_) | DataType::Numeric(_) | DataType::Dec(_))
}

/// A number as it is written: as a value it would become a double, with fewer digits.
fn digits_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Nested(inner) => digits_of(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            digits_of(expr).filter(|digits| !digits.starts_with('-')).map(|digits| format!("-{digits}"))
        }
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| digits.clone())
        }
        _ => None,
    }
}

/// Letters of a text type that has a length: the engine would forget it.
fn length_of(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Character(length)
        | DataType::Char(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length)
        | DataType::Varchar(length)
        | DataType::Nvarchar(length) => match length {
            Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
            Some(CharacterLength::Max) | None => None,
        },
        _ => None,
    }
}

/// `date_part('isodow', x)`: the engine counts from Monday, and from 0.
fn is_weekday(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    let name = function.name.to_string().to_ascii_lowercase();
    let first = match list.args.first() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(first)))) => first,
        _ => return false,
    };
    let Value::SingleQuotedString(part) = &first.value else { return false };
    matches!(name.as_str(), "date_part" | "datepart") && part.eq_ignore_ascii_case("isodow")
}

fn plus_one(value: Expr) -> Expr {
    let sum = Expr::BinaryOp { left: Box::new(value), op: BinaryOperator::Plus, right: Box::new(number(1)) };
    Expr::Nested(Box::new(sum))
}

/// The sides of `mod(x, y)`.
fn modulo(function: &mut Function) -> Option<(Box<Expr>, Box<Expr>)> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    if !function.name.to_string().eq_ignore_ascii_case("mod") {
        return None;
    }
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
    ] = list.args.as_mut_slice()
    else {
        return None;
    };
    let nested = |side: &mut Expr| Box::new(Expr::Nested(Box::new(take(side))));
    Some((nested(left), nested(right)))
}

/// A pattern of LIKE whose escape is the engine's.
fn with_backslashes(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut written = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let (letter, itself) =
            if Some(letter) == escape { (letters.next()?, true) } else { (letter, letter == '\\') };
        if itself && matches!(letter, '%' | '_' | '\\') {
            written.push('\\');
        }
        written.push(letter);
    }
    Some(written)
}

fn is_subquery(expression: &Expr) -> bool {
    match expression {
        Expr::Subquery(_) => true,
        Expr::Nested(inner) => is_subquery(inner),
        _ => false,
    }
}

fn membership(left: &mut Expr, right: &mut Expr, asked: Membership) -> Expr {
    let mut right = std::mem::replace(right, Expr::Value(Value::Null.into()));
    while let Expr::Nested(inner) = right {
        right = *inner;
    }
    let left = std::mem::replace(left, Expr::Value(Value::Null.into()));
    match right {
        Expr::Subquery(subquery) => {
            let negated = asked == Membership::NotIn;
            Expr::InSubquery { expr: Box::new(left), subquery, negated }
        }
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
    async fn what_the_engine_lacks_means_what_the_standard_says() {
        let mut wrong = vec![];
        for (sql, expected) in [
            ("SELECT 'a%b' LIKE 'a!%b' ESCAPE '!', 'axb' LIKE 'a!%b' ESCAPE '!'", "true,false"),
            ("SELECT 'a_b' ILIKE 'A#_B' ESCAPE '#', 'axb' NOT LIKE 'a#_b' ESCAPE '#'", "true,true"),
            ("SELECT 'a!b' LIKE 'a!!b' ESCAPE '!', 'a\\b' LIKE 'a\\b' ESCAPE '!'", "true,true"),
            ("SELECT 'a\\xb' LIKE 'a\\%b' ESCAPE '!', 'a%b' LIKE 'a\\%b'", "true,true"),
            ("SELECT CAST('abcdef' AS varchar(3)), 'abcdef'::char(2), CAST('abc' AS varchar)", "abc,ab,abc"),
            ("SELECT mod(7, 4), MOD(-7, 4), 1 + mod(7, 4) * 2", "3,-3,7"),
            ("SELECT value FROM range(0, 9) ORDER BY value FETCH FIRST 2 ROWS ONLY", "0;1"),
            ("SELECT value FROM range(0, 9) ORDER BY value OFFSET 3 ROWS FETCH NEXT ROW ONLY", "3"),
            ("FROM range(0, 2) AS t(v)", "0;1"),
            (
                "SELECT x FROM (SELECT x FROM (VALUES (1),(2),(3),(4)) AS t(x) ORDER BY x DESC OFFSET 1) AS q ORDER BY x",
                "1;2;3",
            ),
            (
                "SELECT k, n FROM (SELECT k, count(*) AS n FROM (VALUES (0),(1),(1),(2)) AS a(k) GROUP BY k LIMIT 3) AS q ORDER BY n, k OFFSET 1",
                "2,1;1,2",
            ),
            (
                "SELECT min(x), count(*) FROM (SELECT x FROM (VALUES (1),(2),(3),(4),(5),(6),(7)) AS t(x) WHERE x % 2 >= 0 ORDER BY x OFFSET 3) AS q",
                "4,4",
            ),
            ("SELECT count(*) FROM (SELECT value FROM range(0, 9) WHERE value < 8 OFFSET 7) AS q", "1"),
            (
                "SELECT count(*) FROM (SELECT value FROM range(0, 9) WHERE value < 8 LIMIT 5 OFFSET 6) AS q",
                "2",
            ),
            ("SELECT value FROM range(0, 9) ORDER BY value DESC OFFSET 7", "1;0"),
            (
                "SELECT 123456789012345678.12::decimal(38,2), CAST(-12345678901234567890123 AS decimal(38, 0))",
                "123456789012345678.12,-12345678901234567890123",
            ),
            (
                "SELECT 2^3, 10^(1.5*2+1), 2^0.5 > 1.41, 2^-1, 2*3^2, (-2)^2, -(2^2)",
                "8.0,10000.0,true,0.5,18.0,4.0,-4.0",
            ),
            ("SELECT count(*) FROM range(0, 9) WHERE value > 2^2", "4"),
            (
                "SELECT date_part('isodow', DATE '2026-01-04'), extract(isodow FROM DATE '2026-01-05'), date_part('ISODOW', TIMESTAMP '2026-01-03 12:00:00')",
                "7,1,6",
            ),
        ] {
            let said = answer(sql).await;
            if said.as_deref() != Ok(expected) {
                wrong.push(format!("{sql}: {said:?}"));
            }
        }
        for (sql, expected) in [
            ("SELECT 1 FETCH FIRST 1 ROW WITH TIES", "FETCH FIRST"),
            ("SELECT 1 LIMIT 1 FETCH FIRST 1 ROW ONLY", "not both"),
            ("SELECT 'a' LIKE 'a!' ESCAPE '!'", "ends with its escape"),
            ("SELECT -2^2", "(-x) ^ y or -(x ^ y)"),
        ] {
            let said = answer(sql).await;
            if !said.as_ref().is_err_and(|said| said.contains(expected)) {
                wrong.push(format!("{sql}: {said:?}"));
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
