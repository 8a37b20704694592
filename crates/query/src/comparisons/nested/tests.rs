//! Both zeros and both NaN inside lists, structs and maps.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Float64Builder, MapBuilder, RecordBatch};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::COMPARING;
use crate::SessionSettings;
use crate::asking::{answer, answer_of};
use crate::comparisons::EXTREMES;

const ROWS: &str = "(VALUES (-0.0, 1), (0.0, 2), (1.5, 3), (NULL, 4), (CAST('NaN' AS DOUBLE), 5), (CAST('NaN' AS DOUBLE), 6)) AS v(y, n)";

/// Five of the six values are distinct as bits, four as numbers.
async fn holds(value: &str, shown: impl Fn(&str) -> String) {
    let of = |number: &str| value.replace('$', number);
    let t = format!("(SELECT {} AS x, n FROM {ROWS}) AS t", of("y"));
    let zero = of("0.0");
    let other = of("-0.0");
    let cases = [
        (
            format!("SELECT {zero} = {other}, {zero} <> {other}, {zero} IS DISTINCT FROM {other}"),
            "true,false,false".to_owned(),
        ),
        (
            format!("SELECT {other} < {zero}, {other} >= {zero}, {zero} BETWEEN {other} AND {other}"),
            "false,true,true".to_owned(),
        ),
        (format!("SELECT n FROM {t} WHERE x = {zero} ORDER BY n"), "1;2".to_owned()),
        (format!("SELECT n FROM {t} WHERE x IN ({zero}, {}) ORDER BY n", of("1.5")), "1;2;3".to_owned()),
        (format!("SELECT n FROM {t} WHERE x IN (SELECT {zero}) ORDER BY n"), "1;2".to_owned()),
        (format!("SELECT n FROM {t} JOIN (SELECT {zero} AS z) AS u ON x = z ORDER BY n"), "1;2".to_owned()),
        (format!("SELECT n FROM {t} JOIN (SELECT {zero} AS x) AS u USING (x) ORDER BY n"), "1;2".to_owned()),
        (format!("SELECT count(*) FROM (SELECT DISTINCT x FROM {t})"), "4".to_owned()),
        (format!("SELECT count(*) FROM (SELECT x FROM {t} UNION SELECT x FROM {t})"), "4".to_owned()),
        (format!("SELECT x FROM {t} INTERSECT SELECT {other}"), shown("0.0")),
        (format!("SELECT count(*) FROM (SELECT x FROM {t} EXCEPT SELECT {other})"), "3".to_owned()),
        (format!("SELECT count(*) FROM (SELECT x FROM {t} EXCEPT ALL SELECT {other})"), "5".to_owned()),
        (format!("SELECT count(DISTINCT x) FROM {t} WHERE n <> 4"), "3".to_owned()),
        (format!("SELECT min(n), count(*) FROM {t} GROUP BY x ORDER BY 1"), "1,2;3,1;4,1;5,2".to_owned()),
        (format!("SELECT x, count(*) FROM {t} WHERE n < 3 GROUP BY x"), format!("{},2", shown("0.0"))),
        (format!("SELECT count(*) FROM {t} WHERE n < 3 GROUP BY ROLLUP (x)"), "2;2".to_owned()),
        (
            format!("SELECT n, count(*) OVER (PARTITION BY x) FROM {t} ORDER BY n"),
            "1,2;2,2;3,1;4,1;5,2;6,2".to_owned(),
        ),
        (
            format!("SELECT n, rank() OVER (ORDER BY x) FROM {t} WHERE n < 4 ORDER BY n"),
            "1,1;2,1;3,3".to_owned(),
        ),
        (
            format!("SELECT n, count(*) OVER (ORDER BY x) FROM {t} WHERE n < 4 ORDER BY n"),
            "1,2;2,2;3,3".to_owned(),
        ),
        (format!("SELECT n FROM {t} WHERE n < 4 ORDER BY x, n DESC"), "2;1;3".to_owned()),
        (format!("SELECT DISTINCT ON (x) n FROM {t} WHERE n < 4 ORDER BY x, n DESC"), "2;3".to_owned()),
        (
            format!("SELECT nullif({zero}, {other}) IS NULL, CASE {zero} WHEN {other} THEN 1 ELSE 2 END"),
            "true,1".to_owned(),
        ),
    ];
    let mut wrong = vec![];
    for (sql, expected) in cases {
        let said = answer(&sql).await;
        if said.as_deref() != Ok(expected.as_str()) {
            wrong.push(format!("{sql}: {said:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn both_zeros_are_one_inside_lists() {
    holds("make_array($)", |number| format!("[{number}]")).await;
}

#[tokio::test]
async fn both_zeros_are_one_inside_structs() {
    holds("named_struct('a', $)", |number| format!("{{a: {number}}}")).await;
}

#[tokio::test]
async fn both_zeros_are_one_inside_lists_of_structs_of_lists() {
    holds("make_array(named_struct('a', make_array($, 1.0), 'b', 's'))", |number| {
        format!("[{{a: [{number}, 1.0], b: s}}]")
    })
    .await;
}

#[tokio::test]
async fn functions_of_lists_know_one_zero_and_one_nan() {
    const T: &str = "FROM (VALUES (make_array(-0.0, 0.0, 1.0, CAST('NaN' AS DOUBLE), CAST('-nan' AS DOUBLE)), 0.0)) AS t(l, z)";
    let mut wrong = vec![];
    for (value, expected) in [
        (
            "array_has(l, 0.0), array_has(l, z), array_has([-0.0], 0.0), array_has([-0.0], 0)",
            "true,true,true,true",
        ),
        ("0.0 = ANY(make_array(-0.0))", "true"),
        (
            "array_has_any([-0.0], [0.0]), array_has_all([-0.0], [0.0]), [-0.0] @> [0.0, 0.0]",
            "true,true,true",
        ),
        ("array_position([1.0, -0.0], 0.0), array_position([1.0, -0.0], z)", "2,2"),
        ("array_positions(l, 0.0), array_positions(l, -z)", "[1, 2],[1, 2]"),
        ("array_positions(l, CAST('-nan' AS DOUBLE))", "[4, 5]"),
        ("array_distinct(l)", "[0.0, 1.0, NaN]"),
        ("array_except(l, [0.0])", "[1.0, NaN]"),
        ("array_union([-0.0], [0.0])", "[0.0]"),
        ("array_intersect([-0.0, 1.0], [0.0])", "[0.0]"),
        ("array_remove(l, 0.0)", "[0.0, 1.0, NaN, NaN]"),
        ("array_remove_n(l, 0.0, 1)", "[0.0, 1.0, NaN, NaN]"),
        ("array_remove_all(l, 0.0)", "[1.0, NaN, NaN]"),
        ("array_replace([-0.0, 1.0], 0.0, 7.0)", "[7.0, 1.0]"),
        ("array_replace_n([-0.0, 0.0, -0.0], 0.0, 7.0, 2)", "[7.0, 7.0, 0.0]"),
        ("array_replace_all([-0.0, 0.0], 0.0, 7.0)", "[7.0, 7.0]"),
        ("array_sort([CAST('-nan' AS DOUBLE), 1.0])", "[1.0, NaN]"),
        ("array_max(l), array_min([CAST('-nan' AS DOUBLE), 1.0])", "NaN,1.0"),
        ("array_has([make_array(-0.0)], make_array(0.0))", "true"),
        ("array_distinct([make_array(-0.0), make_array(0.0)])", "[[0.0]]"),
        ("map_extract(map([-0.0], ['a']), 0.0)", "[a]"),
        ("make_array(-0.0), array_reverse(make_array(-0.0, 1.0))", "[-0.0],[1.0, -0.0]"),
    ] {
        let said = answer(&format!("SELECT {value} {T}")).await;
        if said.as_deref() != Ok(expected) {
            wrong.push(format!("{value}: {said:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn numbers_of_sixteen_bits_have_one_zero() {
    for (value, expected) in [
        ("arrow_cast(-0.0, 'Float16') = arrow_cast(0.0, 'Float16')", "true"),
        ("count(DISTINCT arrow_cast(x, 'Float16')) FROM (VALUES (0.0), (-0.0)) AS t(x)", "1"),
    ] {
        assert_eq!(answer(&format!("SELECT {value}")).await.as_deref(), Ok(expected), "{value}");
    }
}

#[tokio::test]
async fn lists_are_ordered_by_what_stands_behind_a_zero() {
    const ROWS: &str =
        "(VALUES (make_array(-0.0, 2.0), -0.0, 1), (make_array(0.0, 1.0), 0.0, 2)) AS t(l, x, n)";
    let mut wrong = vec![];
    for (value, rest, expected) in [
        ("n", "ORDER BY l", "2;1"),
        ("n", "ORDER BY l DESC", "1;2"),
        ("n", "ORDER BY l LIMIT 1", "2"),
        ("n", "ORDER BY named_struct('a', x, 'n', -n)", "2;1"),
        ("array_agg(n ORDER BY l), first_value(n ORDER BY l), last_value(n ORDER BY l)", "", "[2, 1],2,1"),
        ("nth_value(n, 1 ORDER BY l)", "", "2"),
        ("(array_agg(n ORDER BY l))[1]", "", "2"),
        ("min(l), max(l)", "", "[0.0, 1.0],[0.0, 2.0]"),
        ("min(l) OVER (), max(l) OVER ()", "LIMIT 1", "[0.0, 1.0],[0.0, 2.0]"),
        ("max(named_struct('x', x, 'n', -n))", "", "{x: 0.0, n: -1}"),
        ("greatest(l, [0.0, 1.0]), least(l, [0.0, 1.0])", "WHERE n = 1", "[0.0, 2.0],[0.0, 1.0]"),
        ("DISTINCT ON (n > 0) n", "ORDER BY n > 0, l", "2"),
    ] {
        let sql = format!("SELECT {value} FROM {ROWS} {rest}");
        let said = answer(&sql).await;
        if said.as_deref() != Ok(expected) {
            wrong.push(format!("{sql}: {said:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn maps_have_one_zero_among_their_keys() {
    for (value, expected) in [
        ("map([-0.0], ['a'])[0.0], map([0.0], ['a'])[-0.0]", "a,a"),
        ("map {-0.0: 'a'}[0.0]", "a"),
        ("map([make_array(-0.0)], ['a'])[make_array(0.0)]", "a"),
        ("named_struct('m', map([-0.0], ['a']))['m'][0.0]", "a"),
        ("get_field(named_struct('m', map([-0.0], ['a'])), 'm', 0.0)", "a"),
        ("map(['a'], [-0.0])['a'], named_struct('a', -0.0)['a']", "-0.0,-0.0"),
    ] {
        assert_eq!(answer(&format!("SELECT {value}")).await.as_deref(), Ok(expected), "{value}");
    }
    let said = answer("SELECT map([-0.0, 0.0], ['a', 'b'])").await;
    assert!(said.as_ref().is_err_and(|said| said.contains("duplicate key")), "{said:?}");
}

/// Tables `signed` and `plain` of the columns `z` (a number, 0, 1.5), `k` (1, 2, 3) and `m` (a map from `z` to `k`), which differ
/// in the sign of the first number only: 0 in the schema `zero`, NaN in the schema `nan`.
fn of_both_signs() -> SessionContext {
    let catalog = MemoryCatalogProvider::new();
    let nan_with_sign = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    for (schema, signed, plain) in [("zero", -0.0, 0.0), ("nan", nan_with_sign, f64::NAN)] {
        let tables = MemorySchemaProvider::new();
        for (table, number) in [("signed", signed), ("plain", plain)] {
            let (z, k) = ([number, 0.0, 1.5], [1.0, 2.0, 3.0]);
            let mut maps = MapBuilder::new(None, Float64Builder::new(), Float64Builder::new());
            for (key, value) in z.iter().zip(k) {
                maps.keys().append_value(*key);
                maps.values().append_value(value);
                maps.append(true).unwrap();
            }
            let column = |values: [f64; 3]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
            let columns = [("z", column(z)), ("k", column(k)), ("m", Arc::new(maps.finish()) as ArrayRef)];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let provider = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            tables.register_table(table.into(), Arc::new(provider)).unwrap();
        }
        catalog.register_schema(schema, Arc::new(tables)).unwrap();
    }
    let settings = SessionSettings { target_partitions: 1, ..SessionSettings::default() };
    crate::session(Arc::new(catalog), &settings).unwrap()
}

/// Whether it was answered; `Err` where the answers of `signed` and `plain` differ in more than the sign of zeros.
/// `$` is the table, with a list `l` and a struct `s` that begin with `z`.
async fn sign_decides_nothing(context: &SessionContext, sql: &str) -> Result<bool, String> {
    let mut answered = false;
    for schema in ["zero", "nan"] {
        let of = |table: &str| {
            let rows = format!(
                "(SELECT z, k, m, make_array(z, 3.0 - k) AS l, named_struct('a', z, 'b', -k) AS s FROM {schema}.{table})"
            );
            sql.replace('$', &rows)
        };
        // Planning refuses most combinations, for both tables.
        let plain = answer_of(context, &of("plain")).await;
        let signed = match &plain {
            Err(message) if !message.contains("duplicate") => return Ok(false),
            _ => answer_of(context, &of("signed")).await,
        };
        answered |= plain.is_ok();
        let shown = |said: &Result<String, String>| said.clone().ok().map(|said| said.replace("-0.0", "0.0"));
        if shown(&signed) != shown(&plain) {
            return Err(format!("{sql} of {schema}: {signed:?}, not {plain:?}"));
        }
    }
    Ok(answered)
}

/// Functions of texts, into which numbers are written with their sign; and an angle has another for each zero.
const TELLING_SIGNS: [&str; 8] = [
    "array_to_string",
    "atan2",
    "character_length",
    "regexp_count",
    "regexp_instr",
    "regexp_match",
    "reverse",
    "translate",
];

#[tokio::test]
async fn no_function_makes_a_difference_between_both_zeros_or_both_nan() {
    let context = of_both_signs();
    let state = context.state();
    let mut asked: Vec<(&str, String)> = vec![];
    // Without their further names.
    let scalar: BTreeSet<&str> = state.scalar_functions().values().map(|function| function.name()).collect();
    let aggregate: BTreeSet<&str> =
        state.aggregate_functions().values().map(|function| function.name()).collect();
    let window: BTreeSet<&str> = state.window_functions().values().map(|function| function.name()).collect();
    for name in scalar.difference(&TELLING_SIGNS.into()) {
        for arguments in [
            "l",
            "l, [0.0, 1.0]",
            "l, z",
            "l, 0.0",
            "z, l",
            "z, 1.0",
            "l, z, 9.0",
            "l, z, 9.0, 1",
            "l, z, 1",
            "make_array(l), [0.0, 1.0]",
            "m, 0.0",
            "m, z",
            "s, named_struct('a', 0.0, 'b', -1.5)",
            "[z, 0.0], ['a', 'b']",
        ] {
            asked.push((*name, format!("SELECT \"{name}\"({arguments}) FROM $")));
        }
    }
    for name in aggregate {
        for arguments in [
            "z",
            "z, 0.5",
            "z, k, 0.5",
            "l",
            "s",
            "DISTINCT l",
            "k ORDER BY z",
            "k ORDER BY l",
            "k, 1 ORDER BY l",
        ] {
            // A list of different values has no order.
            if name == "array_agg" && arguments.starts_with("DISTINCT") {
                continue;
            }
            asked.push((name, format!("SELECT \"{name}\"({arguments}) FROM $")));
            asked.push((name, format!("SELECT \"{name}\"({arguments}) OVER (ORDER BY k) FROM $")));
        }
    }
    for name in window {
        for arguments in ["", "k", "2", "k, 1"] {
            for order in ["z", "l", "s"] {
                asked.push((
                    name,
                    format!("SELECT k, \"{name}\"({arguments}) OVER (ORDER BY {order}) FROM $ ORDER BY k"),
                ));
            }
        }
    }
    let (mut wrong, mut answered) = (vec![], BTreeSet::new());
    for (name, sql) in asked {
        match sign_decides_nothing(&context, &sql).await {
            Ok(true) => drop(answered.insert(name)),
            Ok(false) => {}
            Err(difference) => wrong.push(difference),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known =
        COMPARING.iter().chain(&EXTREMES).chain(&["greatest", "least", "nullif", "rank", "first_value"]);
    let silent: Vec<&&str> = known.filter(|name| !answered.contains(*name)).collect();
    assert!(silent.is_empty(), "nothing was asked of {silent:?}");
}

#[tokio::test]
async fn no_operator_and_no_clause_makes_a_difference_between_both_zeros_or_both_nan() {
    let context = of_both_signs();
    let mut wrong = vec![];
    let mut asked: Vec<String> = vec![];
    for (value, other) in [
        ("z", "0.0"),
        ("z", "1.0"),
        ("z", "CAST('NaN' AS DOUBLE)"),
        ("z", "CAST('-inf' AS DOUBLE)"),
        ("z", "CAST(1 AS REAL)"),
        ("CAST(z AS REAL)", "1.0"),
        ("abs(z)", "1.0"),
        ("coalesce(z, 1.0)", "1.0"),
        ("z + 1", "1.0"),
        ("l", "[0.0, 1.0]"),
        ("l", "[1.0, 1.0]"),
        ("s", "named_struct('a', 0.0, 'b', -1.5)"),
        ("make_array(s)", "make_array(named_struct('a', 0.0, 'b', -1.5))"),
    ] {
        let compared = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
            .map(|operator| format!("{value} {operator} {other}, {other} {operator} {value}"));
        asked.push(format!("SELECT k, {} FROM $ ORDER BY k", compared.join(", ")));
        let among = [
            "? BETWEEN ! AND !",
            "? NOT BETWEEN ! AND !",
            "! BETWEEN ? AND !",
            "! BETWEEN ! AND ?",
            "? IN (!)",
            "? NOT IN (!, !)",
            "NOT ? < !",
            "CASE ? WHEN ! THEN true ELSE false END",
            "greatest(?, !) > !",
            "least(?, !) < !",
        ]
        .map(|condition| condition.replace('?', value).replace('!', other));
        asked.push(format!("SELECT k, {} FROM $ ORDER BY k", among.join(", ")));
        for condition in ["? < !", "? >= !", "? = !", "? IN (SELECT !)"] {
            let condition = condition.replace('?', value).replace('!', other);
            asked.push(format!("SELECT k FROM $ WHERE {condition} ORDER BY k"));
        }
    }
    for value in ["z", "l", "s"] {
        for rest in [
            "k FROM $ ORDER BY ?",
            "k FROM $ ORDER BY ? DESC",
            "k FROM $ ORDER BY ? LIMIT 1",
            "k FROM $ ORDER BY ? DESC LIMIT 1",
            "count(*) FROM $ GROUP BY ? ORDER BY ?",
            "DISTINCT ? FROM $ ORDER BY 1",
            "DISTINCT ON (?) k FROM $ ORDER BY ?",
            "DISTINCT ON (k < 9) k FROM $ ORDER BY k < 9, ?",
            "max(?), min(?) FROM $",
            "k, max(?) OVER (ORDER BY k), min(?) OVER (ORDER BY k ROWS 1 PRECEDING) FROM $ ORDER BY k",
            "max(?) > min(?) FROM $",
            "array_agg(k ORDER BY ?) FROM $",
            "k, rank() OVER (ORDER BY ? DESC) FROM $ ORDER BY k",
            "count(*) OVER (PARTITION BY ?) FROM $ ORDER BY k",
            "count(DISTINCT ?) FROM $",
            "a.k, b.k FROM (SELECT ? AS v, k FROM $) AS a JOIN (SELECT ? AS v, k FROM $) AS b ON a.v < b.v ORDER BY 1, 2",
            "a.k, b.k FROM (SELECT ? AS v, k FROM $) AS a JOIN (SELECT ? AS v, k FROM $) AS b USING (v) ORDER BY 1, 2",
        ] {
            asked.push(format!("SELECT {}", rest.replace('?', value)));
        }
    }
    for sql in asked {
        match sign_decides_nothing(&context, &sql).await {
            Ok(true) => {}
            Ok(false) => {
                wrong.push(format!("{sql}: {:?}", answer_of(&context, &sql.replace('$', "zero.plain")).await))
            }
            Err(difference) => wrong.push(difference),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
