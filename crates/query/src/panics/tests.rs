//! The numbers, texts and times that end something.

use super::*;
use crate::asking::answer;

fn complaint(name: &str, sql: &str, outcome: Result<String, String>) -> Option<String> {
    let Err(said) = outcome else { return None };
    let fits = !said.is_empty()
        && !said.contains('\n')
        && said.chars().count() <= 400
        && !said.contains("Function {");
    let named = !said.contains("cannot be calculated") || said.contains(name);
    (!fits || !named).then(|| format!("{sql}: {said}"))
}

#[tokio::test]
async fn statements_at_the_ends_of_numbers_say_what_is_wrong() {
    let mut wrong = vec![];
    for (name, sql) in [
        ("generate_series", "SELECT generate_series(9223372036854775806, 9223372036854775807)"),
        ("generate_series", "SELECT * FROM generate_series(9223372036854775806, 9223372036854775807)"),
        ("range", "SELECT count(*) FROM range(-9223372036854775808, -9223372036854775800)"),
        (
            "sum",
            "SELECT sum(x) OVER (ROWS BETWEEN 18446744073709551615 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2)) AS t(x)",
        ),
        (
            "sum",
            "SELECT sum(x) OVER (ROWS BETWEEN CURRENT ROW AND 18446744073709551615 FOLLOWING) FROM (VALUES (1), (2)) AS t(x)",
        ),
        (
            "sum",
            "SELECT sum(x) OVER (ORDER BY x RANGE BETWEEN 9223372036854775807 PRECEDING AND 9223372036854775807 FOLLOWING) FROM (VALUES (1), (-2)) AS t(x)",
        ),
        ("lag", "SELECT lag(x, -9223372036854775808) OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)"),
        ("ntile", "SELECT ntile(18446744073709551615) OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)"),
        (
            "nth_value",
            "SELECT nth_value(x, -9223372036854775808) OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)",
        ),
        ("abs", "SELECT abs(x) FROM (VALUES (-9223372036854775808)) AS t(x)"),
        ("", "SELECT -x FROM (VALUES (-9223372036854775808)) AS t(x)"),
        ("", "SELECT x / -1 FROM (VALUES (-9223372036854775808)) AS t(x)"),
        ("", "SELECT x % -1 FROM (VALUES (-9223372036854775808)) AS t(x)"),
        ("", "SELECT x % 0 FROM (VALUES (1)) AS t(x)"),
        ("", "SELECT x << 64, x >> -1 FROM (VALUES (1)) AS t(x)"),
        ("", "SELECT CAST('9e999' AS DECIMAL(38, 10))"),
        (
            "",
            "SELECT x * x FROM (VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)))) AS t(x)",
        ),
        ("", "SELECT 1 LIMIT 9223372036854775807 OFFSET 9223372036854775807"),
        ("date_bin", "SELECT date_bin(INTERVAL '1 day', TIMESTAMP '0001-01-01', TIMESTAMP '9999-12-31')"),
        ("make_date", "SELECT make_date(2147483647, 1, 1)"),
        ("to_char", "SELECT to_char(TIMESTAMP '2024-01-01', '%Q%')"),
        ("substr", "SELECT substr('abc', -9223372036854775808, 9223372036854775807)"),
        ("split_part", "SELECT split_part('a,b', ',', -9223372036854775808)"),
        (
            "array_slice",
            "SELECT array_slice([1, 2], -9223372036854775808, 9223372036854775807, -9223372036854775808)",
        ),
        ("array_element", "SELECT array_element([1, 2], -9223372036854775808)"),
        ("", "SELECT [1, 2][-9223372036854775808], [1, 2][9223372036854775807]"),
        ("round", "SELECT round(1.5, -9223372036854775808), round(1.5, 2147483647)"),
        ("factorial", "SELECT factorial(21)"),
        ("lcm", "SELECT lcm(9223372036854775807, -9223372036854775808), gcd(-9223372036854775808, -1)"),
        ("power", "SELECT power(9223372036854775807, 9223372036854775807), power(2, -1)"),
        ("chr", "SELECT chr(1114112)"),
        ("to_hex", "SELECT to_hex(-9223372036854775808)"),
        ("approx_percentile_cont", "SELECT approx_percentile_cont(x, 2) FROM (VALUES (1)) AS t(x)"),
        ("arrow_cast", "SELECT arrow_cast(1, 'Decimal128(99, -99)')"),
    ] {
        wrong.extend(complaint(name, sql, answer(sql).await));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_panic_is_an_error_that_names_the_calls() {
    let calls = |names: &[&str]| Calls(names.iter().map(|name| (*name).to_owned()).collect());
    let sentence = |names: &[&str]| calls(names).sentence("date_bin", "it broke");
    assert_eq!(sentence(&["abs"]), "\"abs\" cannot be calculated with these arguments: it broke");
    assert_eq!(
        sentence(&["abs", "date_bin"]),
        "\"date_bin\" cannot be calculated with these arguments: it broke"
    );
    assert_eq!(
        sentence(&["abs", "ln"]),
        "one of \"abs\", \"ln\" cannot be calculated with these arguments: it broke"
    );
    assert_eq!(sentence(&[]), "the engine cannot calculate this statement with these values: it broke");
    assert!(calls(&["slice"]).caught(|| arrow::buffer::Buffer::from_vec(vec![1_u8]).slice(7)).is_err());
}
