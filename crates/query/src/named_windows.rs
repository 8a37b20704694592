//! Named windows: `OVER (w ORDER BY x)` is the window `w` and an order. The engine knows `OVER w` only, and forgets the name
//! in all else.
//!
//! ```text
//! sum(x) OVER (w ORDER BY x) … WINDOW w AS (PARTITION BY k)   ──►   sum(x) OVER (PARTITION BY k ORDER BY x)
//! ```
//! Reference: PostgreSQL 17, `SELECT`, WINDOW clause: a window that builds on another takes its `PARTITION BY`, may add an
//! `ORDER BY` where that one has none, and never takes its frame.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, Statement, VisitMut,
    VisitorMut, WindowSpec, WindowType, visit_expressions_mut,
};

/// Writes out the windows that are named in a statement.
///
/// # Errors
/// A name that no window has, two windows of one name, or a window that contradicts the one it builds on.
pub(crate) fn write_out(statement: &mut Statement) -> Result<(), String> {
    match statement.visit(&mut WriteOut) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(message),
    }
}

struct WriteOut;

impl VisitorMut for WriteOut {
    type Break = String;

    /// From the inside out: names hold for their own query, not for those within it.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        let order_by = &mut query.order_by;
        let written = match query.body.as_mut() {
            SetExpr::Select(select) => of_select(select).and_then(|windows| {
                order_by.as_mut().map_or(Ok(()), |order_by| in_place_of_names(order_by, &windows))
            }),
            other => of_body(other),
        };
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(message) => ControlFlow::Break(message),
        }
    }
}

fn of_body(body: &mut SetExpr) -> Result<(), String> {
    match body {
        SetExpr::Select(select) => of_select(select).map(drop),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left)?;
            of_body(right)
        }
        _ => Ok(()),
    }
}

type Windows = HashMap<String, WindowSpec>;

fn of_select(select: &mut Select) -> Result<Windows, String> {
    let mut windows = Windows::new();
    for NamedWindowDefinition(name, window) in std::mem::take(&mut select.named_window) {
        let window = match window {
            NamedWindowExpr::NamedWindow(other) => named(&other, &windows)?.clone(),
            NamedWindowExpr::WindowSpec(window) => whole(window, &windows)?,
        };
        if windows.insert(normal(&name), window).is_some() {
            return Err(format!("there are two windows named \"{}\"", name.value));
        }
    }
    in_place_of_names(select, &windows)?;
    Ok(windows)
}

fn in_place_of_names(place: &mut impl VisitMut, windows: &Windows) -> Result<(), String> {
    let written = visit_expressions_mut(place, |expression| {
        let Expr::Function(call) = expression else { return ControlFlow::Continue(()) };
        let window = match call.over.take() {
            None => return ControlFlow::Continue(()),
            Some(WindowType::NamedWindow(name)) => named(&name, windows).cloned(),
            Some(WindowType::WindowSpec(window)) => whole(window, windows),
        };
        match window {
            Ok(window) => {
                call.over = Some(WindowType::WindowSpec(window));
                ControlFlow::Continue(())
            }
            Err(message) => ControlFlow::Break(message),
        }
    });
    match written {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(message),
    }
}

fn normal(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn named<'a>(name: &Ident, windows: &'a Windows) -> Result<&'a WindowSpec, String> {
    windows
        .get(&normal(name))
        .ok_or_else(|| format!("there is no window named \"{}\" before it is used", name.value))
}

/// A window with what it takes from the one it builds on.
fn whole(window: WindowSpec, windows: &Windows) -> Result<WindowSpec, String> {
    let WindowSpec { window_name, partition_by, order_by, window_frame } = window;
    let Some(name) = window_name else {
        return Ok(WindowSpec { window_name: None, partition_by, order_by, window_frame });
    };
    let base = named(&name, windows)?;
    let name = &name.value;
    if !partition_by.is_empty() {
        return Err(format!(
            "PARTITION BY stands in the window \"{name}\" only, not where something builds on it"
        ));
    }
    if !base.order_by.is_empty() && !order_by.is_empty() {
        return Err(format!("the window \"{name}\" has an ORDER BY already"));
    }
    if base.window_frame.is_some() {
        return Err(format!("the window \"{name}\" has a frame: write OVER {name}, or leave out its frame"));
    }
    let order_by = if order_by.is_empty() { base.order_by.clone() } else { order_by };
    Ok(WindowSpec { window_name: None, partition_by: base.partition_by.clone(), order_by, window_frame })
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    const T: &str = "FROM (VALUES (1, 4), (2, 5), (2, 7)) AS t(k, x)";

    #[tokio::test]
    async fn a_window_takes_what_the_one_it_builds_on_has() {
        for (columns, windows, expected) in [
            ("sum(x) OVER (w ORDER BY x)", "w AS (PARTITION BY k)", "4;5;12"),
            ("sum(x) OVER (w)", "w AS (PARTITION BY k)", "4;12;12"),
            ("sum(x) OVER w", "w AS (PARTITION BY k)", "4;12;12"),
            ("sum(x) OVER (W ORDER BY x)", "w AS (PARTITION BY k)", "4;5;12"),
            ("sum(x) OVER w2", "w AS (PARTITION BY k), w2 AS (w ORDER BY x)", "4;5;12"),
            ("sum(x) OVER w2", "w AS (PARTITION BY k ORDER BY x), w2 AS w", "4;5;12"),
            ("sum(x) OVER (w ROWS 1 PRECEDING)", "w AS (ORDER BY x)", "4;9;12"),
            ("sum(x) OVER (w ROWS 1 PRECEDING)", "w AS (PARTITION BY k ORDER BY x)", "4;5;12"),
            ("1 + sum(x) OVER (w ORDER BY x)", "w AS (PARTITION BY k)", "5;6;13"),
        ] {
            let sql = format!("SELECT {columns} {T} WINDOW {windows} ORDER BY x");
            assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
        }
        for (sql, expected) in [
            (
                format!(
                    "SELECT x, sum(x) OVER (w) AS y {T} WINDOW w AS (PARTITION BY k) ORDER BY sum(x) OVER (w) DESC, x"
                ),
                "5,12;7,12;4,4",
            ),
            (
                format!(
                    "SELECT x {T} WINDOW w AS (PARTITION BY k) QUALIFY row_number() OVER (w ORDER BY x) = 2"
                ),
                "7",
            ),
            (
                format!(
                    "SELECT (SELECT sum(y) OVER w FROM (VALUES (1)) AS u(y) WINDOW w AS (ORDER BY y)), sum(x) OVER (w) {T} \
                     WINDOW w AS () ORDER BY x LIMIT 1"
                ),
                "1,16",
            ),
        ] {
            assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn unknown_and_contradicting_windows_are_refused() {
        for (columns, windows, said) in [
            ("sum(x) OVER (v ORDER BY x)", "w AS (PARTITION BY k)", "no window named \"v\""),
            ("sum(x) OVER (v)", "w AS (PARTITION BY k)", "no window named \"v\""),
            ("sum(x) OVER v", "w AS (PARTITION BY k)", "no window named \"v\""),
            ("sum(x) OVER w", "w AS (v)", "no window named \"v\""),
            ("sum(x) OVER (w PARTITION BY x)", "w AS (PARTITION BY k)", "PARTITION BY"),
            ("sum(x) OVER (w ORDER BY x)", "w AS (ORDER BY k)", "ORDER BY already"),
            ("sum(x) OVER (w)", "w AS (ORDER BY k ROWS 1 PRECEDING)", "has a frame"),
            ("sum(x) OVER w", "w AS (ORDER BY k), W AS (ORDER BY x)", "two windows"),
        ] {
            let sql = format!("SELECT {columns} {T} WINDOW {windows}");
            let answered = answer(&sql).await;
            assert!(answered.as_ref().is_err_and(|error| error.contains(said)), "{sql}: {answered:?}");
        }
        let sql = "SELECT sum(x) OVER (w ORDER BY x) FROM (VALUES (1)) AS t(x)";
        assert!(answer(sql).await.is_err_and(|error| error.contains("no window")));
    }
}
