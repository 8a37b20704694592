//! Clauses that the parser reads and the engine's planner never looks at: each is refused, for without it the answer is
//! another one.
//!
//! The parts of the syntax tree are taken apart field by field, so that a field that a later parser adds does not compile
//! before somebody has judged it.

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Cte, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Join, JoinConstraint, JoinOperator,
    NamedWindowDefinition, NamedWindowExpr, NullTreatment, PipeOperator, Query, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Visit, Visitor, WildcardAdditionalOptions, WindowFrameBound,
    WindowFrameUnits, WindowSpec, WindowType,
};
use seislake_model::Result;

use crate::error::refused;

/// Refuses a statement that says something that would not be heard.
///
/// # Errors
/// The sentence names the clause and what says the same, where something does.
pub(crate) fn check(statement: &Statement, state: &SessionState) -> Result<()> {
    match statement {
        Statement::Statement(statement) => match statement.visit(&mut Clauses { state }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(message) => Err(refused(message)),
        },
        Statement::Explain(explain) => check(&explain.statement, state),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

struct Clauses<'a> {
    state: &'a SessionState,
}

type Heard = Result<(), String>;

impl Visitor for Clauses<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        flow(query_heard(query))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<String> {
        flow(table_heard(table))
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        match expression {
            Expr::Function(function) => flow(call_heard(function, self.state)),
            Expr::InSubquery { expr, .. } => flow(refuse(
                matches!(**expr, Expr::Tuple(_)),
                "IN (SELECT …) behind several columns",
                "write EXISTS (SELECT 1 FROM … WHERE … = … AND … = …), or NOT EXISTS",
            )),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn flow(heard: Heard) -> ControlFlow<String> {
    match heard {
        Ok(()) => ControlFlow::Continue(()),
        Err(message) => ControlFlow::Break(message),
    }
}

/// `said` is an error where it is there.
fn refuse(said: bool, clause: &str, instead: &str) -> Heard {
    match (said, instead) {
        (false, _) => Ok(()),
        (true, "") => Err(format!("{clause} is not answered here")),
        (true, instead) => Err(format!("{clause} is not answered here: {instead}")),
    }
}

fn query_heard(query: &Query) -> Heard {
    let Query {
        with,
        body,
        order_by: _,
        limit_clause: _,
        fetch: _,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    refuse(!locks.is_empty(), "FOR UPDATE or FOR SHARE", "nothing is locked by reading")?;
    refuse(for_clause.is_some(), "FOR JSON, FOR XML or FOR BROWSE", "the door says the format of an answer")?;
    refuse(settings.is_some(), "SETTINGS", "")?;
    refuse(format_clause.is_some(), "FORMAT", "the door says the format of an answer")?;
    for table in with.iter().flat_map(|with| &with.cte_tables) {
        let Cte { alias, query: _, from, materialized: _, closing_paren_token: _ } = table;
        alias_heard(Some(alias))?;
        refuse(from.is_some(), "FROM behind a table of WITH", "")?;
    }
    for operator in pipe_operators {
        if let PipeOperator::Join(join) = operator {
            join_heard(join)?;
        }
    }
    body_heard(body)
}

fn body_heard(body: &SetExpr) -> Heard {
    match body {
        SetExpr::Select(select) => select_heard(select),
        SetExpr::SetOperation { left, right, .. } => {
            body_heard(left)?;
            body_heard(right)
        }
        // A query in brackets is visited by itself; all else the planner refuses.
        SetExpr::Query(_)
        | SetExpr::Values(_)
        | SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => Ok(()),
    }
}

fn select_heard(select: &Select) -> Heard {
    let Select {
        select_token: _,
        // A comment.
        optimizer_hint: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        // The planner makes it a statement that is not a reading one.
        into: _,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    refuse(select_modifiers.is_some(), "a word of MySQL behind SELECT", "")?;
    refuse(top.is_some(), "TOP", "write LIMIT behind the statement")?;
    refuse(exclude.is_some(), "EXCLUDE behind the columns", "write * EXCLUDE (…)")?;
    refuse(!lateral_views.is_empty(), "LATERAL VIEW", "write unnest(…)")?;
    refuse(prewhere.is_some(), "PREWHERE", "write WHERE")?;
    refuse(!connect_by.is_empty(), "START WITH and CONNECT BY", "write WITH RECURSIVE")?;
    refuse(!cluster_by.is_empty(), "CLUSTER BY", "write ORDER BY")?;
    refuse(!distribute_by.is_empty(), "DISTRIBUTE BY", "")?;
    refuse(!sort_by.is_empty(), "SORT BY", "write ORDER BY")?;
    refuse(value_table_mode.is_some(), "SELECT AS VALUE or AS STRUCT", "")?;
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
    refuse(
        !modifiers.is_empty(),
        "WITH ROLLUP, CUBE or TOTALS behind GROUP BY",
        "write GROUP BY ROLLUP (…) or CUBE (…)",
    )?;
    for NamedWindowDefinition(_, window) in named_window {
        if let NamedWindowExpr::WindowSpec(window) = window {
            frame_heard(window)?;
        }
    }
    for item in projection {
        match item {
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                let WildcardAdditionalOptions {
                    wildcard_token: _,
                    opt_ilike,
                    opt_exclude: _,
                    opt_except: _,
                    opt_replace: _,
                    opt_rename,
                } = options;
                refuse(opt_ilike.is_some(), "* ILIKE", "name the columns, or write * EXCLUDE (…)")?;
                refuse(opt_rename.is_some(), "* RENAME", "name the columns with AS")?;
            }
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {}
        }
    }
    from.iter().try_for_each(joins_heard)
}

fn joins_heard(tables: &TableWithJoins) -> Heard {
    let TableWithJoins { relation: _, joins } = tables;
    joins.iter().try_for_each(join_heard)
}

fn join_heard(join: &Join) -> Heard {
    let Join { relation: _, global, join_operator } = join;
    refuse(*global, "GLOBAL JOIN", "write JOIN")?;
    match join_operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::Left(_)
        | JoinOperator::LeftOuter(_)
        | JoinOperator::Right(_)
        | JoinOperator::RightOuter(_)
        | JoinOperator::FullOuter(_)
        | JoinOperator::LeftSemi(_)
        | JoinOperator::RightSemi(_)
        | JoinOperator::LeftAnti(_)
        | JoinOperator::RightAnti(_)
        | JoinOperator::CrossJoin(JoinConstraint::None) => Ok(()),
        JoinOperator::CrossJoin(_) => refuse(true, "CROSS JOIN with a condition", "write JOIN"),
        JoinOperator::Semi(_) => refuse(true, "SEMI JOIN", "write LEFT SEMI JOIN, or WHERE EXISTS (…)"),
        JoinOperator::Anti(_) => refuse(true, "ANTI JOIN", "write LEFT ANTI JOIN, or WHERE NOT EXISTS (…)"),
        JoinOperator::CrossApply => refuse(true, "CROSS APPLY", "write CROSS JOIN LATERAL"),
        JoinOperator::OuterApply => refuse(true, "OUTER APPLY", "write LEFT JOIN LATERAL"),
        JoinOperator::AsOf { .. } => refuse(
            true,
            "ASOF JOIN",
            "write LEFT JOIN with the condition, and choose the last row with row_number() OVER (…)",
        ),
        JoinOperator::StraightJoin(_) => refuse(true, "STRAIGHT_JOIN", "write JOIN"),
    }
}

fn alias_heard(alias: Option<&TableAlias>) -> Heard {
    let Some(TableAlias { explicit: _, name: _, columns }) = alias else { return Ok(()) };
    let typed = columns.iter().any(|column| column.data_type.is_some());
    refuse(typed, "a type behind a column of a table's name", "write CAST(… AS …) inside")
}

fn table_heard(table: &TableFactor) -> Heard {
    const SAMPLE: &str = "write WHERE random() < 0.1, or LIMIT";
    match table {
        TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            alias_heard(alias.as_ref())?;
            refuse(!with_hints.is_empty(), "WITH (…) behind a table", "")?;
            refuse(
                version.is_some(),
                "a table AS OF a time or version",
                "Iceberg clients read older snapshots",
            )?;
            refuse(*with_ordinality, "WITH ORDINALITY", "write row_number() OVER ()")?;
            refuse(!partitions.is_empty(), "PARTITION behind a table", "write WHERE")?;
            refuse(json_path.is_some(), "a path behind a table", "")?;
            refuse(sample.is_some(), "TABLESAMPLE", SAMPLE)?;
            refuse(!index_hints.is_empty(), "an index hint", "")?;
            let settings = args.as_ref().is_some_and(|args| args.settings.is_some());
            refuse(settings, "SETTINGS", "")?;
            // The planner drops those without a word.
            args.iter().flat_map(|args| &args.args).try_for_each(argument_heard)
        }
        TableFactor::Derived { lateral: _, subquery: _, alias, sample } => {
            alias_heard(alias.as_ref())?;
            refuse(sample.is_some(), "TABLESAMPLE", SAMPLE)
        }
        TableFactor::Function { lateral: _, name: _, args, alias } => {
            alias_heard(alias.as_ref())?;
            args.iter().try_for_each(argument_heard)
        }
        TableFactor::UNNEST { alias, array_exprs: _, with_offset, with_offset_alias: _, with_ordinality } => {
            alias_heard(alias.as_ref())?;
            refuse(*with_offset, "WITH OFFSET", "write row_number() OVER ()")?;
            refuse(*with_ordinality, "WITH ORDINALITY", "write row_number() OVER ()")
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            alias_heard(alias.as_ref())?;
            joins_heard(table_with_joins)
        }
        TableFactor::TableFunction { .. } => refuse(true, "TABLE(…)", "write the function itself"),
        TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => refuse(true, "JSON_TABLE", ""),
        TableFactor::XmlTable { .. } => refuse(true, "XMLTABLE", ""),
        TableFactor::Pivot { .. } => refuse(true, "PIVOT", "write sum(…) FILTER (WHERE …) for each column"),
        TableFactor::Unpivot { .. } => refuse(true, "UNPIVOT", "write UNION ALL, or unnest(make_array(…))"),
        TableFactor::MatchRecognize { .. } => {
            refuse(true, "MATCH_RECOGNIZE", "write lag() and lead() OVER (…)")
        }
        TableFactor::SemanticView { .. } => refuse(true, "SEMANTIC_VIEW", ""),
    }
}

fn argument_heard(argument: &FunctionArg) -> Heard {
    let plain = matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
    refuse(!plain, "an argument with a name, or *, of a table function", "write the values in their order")
}

fn call_heard(call: &Function, state: &SessionState) -> Heard {
    let Function {
        name,
        // {fn name(…)}
        uses_odbc_syntax: _,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group,
    } = call;
    refuse(!matches!(parameters, FunctionArguments::None), "a second list of arguments", "")?;
    let subquery = matches!(args, FunctionArguments::Subquery(_));
    refuse(subquery, "a subquery as all arguments of a function", "put it into brackets of its own")?;
    let called = name.to_string().to_lowercase();
    let scalar = state.scalar_functions().contains_key(&called);
    let window = !scalar
        && !state.aggregate_functions().contains_key(&called)
        && state.window_functions().contains_key(&called);
    let (distinct, ordered, nulls) = match args {
        FunctionArguments::List(FunctionArgumentList { duplicate_treatment, args: _, clauses }) => (
            matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct)),
            clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_))),
            clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_))),
        ),
        FunctionArguments::None | FunctionArguments::Subquery(_) => (false, false, false),
    };
    let nulls = nulls || null_treatment.is_some();
    if let Some(WindowType::WindowSpec(window)) = over {
        frame_heard(window)?;
    }
    let of_list = match args {
        FunctionArguments::List(list) => list.clauses.as_slice(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    };
    let ignores = |clause: &FunctionArgumentClause| {
        matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(NullTreatment::IgnoreNulls))
    };
    if *null_treatment == Some(NullTreatment::IgnoreNulls) || of_list.iter().any(ignores) {
        looks_back(&called, args)?;
    }
    for (said, clause, of_windows) in [
        (distinct, "DISTINCT", false),
        (filter.is_some(), "FILTER", false),
        (ordered, "ORDER BY", false),
        (!within_group.is_empty(), "WITHIN GROUP", false),
        (nulls, "IGNORE NULLS or RESPECT NULLS", true),
        (over.is_some(), "OVER", true),
    ] {
        let unheard = scalar || window && !of_windows;
        if said && unheard {
            let kind = if scalar { "a function of one row" } else { "a function of a window, no aggregate" };
            return Err(format!("{clause} says nothing to \"{called}\", which is {kind}"));
        }
    }
    Ok(())
}

/// A frame that may be empty between others: the engine would keep what was in the last one.
fn frame_heard(window: &WindowSpec) -> Heard {
    use WindowFrameBound::{Following, Preceding};
    let Some(frame) = &window.window_frame else { return Ok(()) };
    let beside = matches!(
        (&frame.start_bound, &frame.end_bound),
        (Preceding(Some(_)), Some(Preceding(Some(_)))) | (Following(Some(_)), Some(Following(Some(_))))
    );
    refuse(
        beside && frame.units == WindowFrameUnits::Range,
        "a RANGE frame that begins and ends on one side of its row",
        "join the rows with BETWEEN, or write ROWS",
    )
}

/// The engine looks ahead too short a way where it leaves out nulls.
fn looks_back(called: &str, args: &FunctionArguments) -> Heard {
    let offset = match args {
        FunctionArguments::List(list) => list.args.get(1).map(ToString::to_string),
        FunctionArguments::None | FunctionArguments::Subquery(_) => None,
    };
    let ahead = called == "lead" || called == "lag" && offset.is_some_and(|offset| offset.starts_with('-'));
    refuse(ahead, "IGNORE NULLS of lead", "write lag(…) IGNORE NULLS in the other order")
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn clauses_that_would_not_be_heard_are_refused() {
        const T: &str = "(VALUES (1, 'a'), (2, 'b')) AS t(n, s)";
        let mut wrong = vec![];
        for (sql, said) in [
            ("SELECT n FROM $T PREWHERE n = 1", "PREWHERE"),
            ("WITH u AS (SELECT 1 AS n) SELECT n FROM u TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE"),
            ("WITH u AS (SELECT 1 AS n) SELECT n FROM u TABLESAMPLE (5 ROWS)", "TABLESAMPLE"),
            ("SELECT n FROM (SELECT 1 AS n) TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
            ("SELECT n, count(*) FROM $T GROUP BY n WITH ROLLUP", "ROLLUP"),
            ("SELECT n, count(*) FROM $T GROUP BY n WITH CUBE", "CUBE"),
            ("SELECT n, count(*) FROM $T GROUP BY n WITH TOTALS", "TOTALS"),
            ("SELECT n FROM $T START WITH n = 1 CONNECT BY PRIOR n = 2", "CONNECT BY"),
            ("WITH u AS (SELECT 1 AS n) SELECT n FROM u PARTITION (p0)", "PARTITION"),
            ("SELECT * FROM range(0, 3) WITH ORDINALITY", "ORDINALITY"),
            ("SELECT * ILIKE '%x%' FROM $T", "ILIKE"),
            ("SELECT t.* ILIKE '%x%' FROM $T", "ILIKE"),
            ("SELECT n FROM $T FOR JSON AUTO", "FOR JSON"),
            ("SELECT n FROM $T FORMAT JSON", "FORMAT"),
            ("SELECT n FROM $T SETTINGS max_threads = 1", "SETTINGS"),
            ("SELECT n FROM $T FOR UPDATE", "FOR UPDATE"),
            ("SELECT TOP 1 n FROM $T", "TOP"),
            ("SELECT n FROM $T SORT BY n", "SORT BY"),
            ("SELECT n FROM (SELECT n FROM $T SORT BY n) AS u", "SORT BY"),
            ("SELECT (SELECT max(n) FROM $T PREWHERE n = 1)", "PREWHERE"),
            ("SELECT n FROM $T UNION ALL SELECT n FROM $T PREWHERE n = 1", "PREWHERE"),
            ("EXPLAIN SELECT n FROM $T PREWHERE n = 1", "PREWHERE"),
            ("SELECT * FROM $T GLOBAL JOIN $T AS u ON true", "GLOBAL"),
            ("SELECT * FROM $T UNPIVOT (v FOR k IN (n))", "UNPIVOT"),
            ("SELECT abs(n) FILTER (WHERE n > 1) FROM $T", "FILTER"),
            ("SELECT abs(DISTINCT n) FROM $T", "DISTINCT"),
            ("SELECT abs(n) OVER (ORDER BY n) FROM $T", "OVER"),
            ("SELECT row_number() FILTER (WHERE n > 1) OVER (ORDER BY n) FROM $T", "FILTER"),
            ("SELECT s COLLATE \"C\" FROM $T", "COLLATE"),
            ("SELECT n FROM $T WHERE (n, s) IN (SELECT 1, 'a')", "EXISTS"),
            ("SELECT n FROM $T WHERE (n, s) NOT IN (SELECT n, s FROM $T)", "EXISTS"),
        ] {
            let sql = sql.replace("$T", T).replace("t(n, s) AS u", "u(n, s)");
            let answered = answer(&sql).await;
            let refused = answered.as_ref().is_err_and(|error| error.contains(said) && !error.contains('{'));
            if !refused {
                wrong.push(format!("{sql}: {answered:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[tokio::test]
    async fn clauses_that_are_heard_are_answered() {
        for (sql, expected) in [
            ("SELECT sum(n) FILTER (WHERE n > 1) FROM (VALUES (1), (2)) AS t(n)", "2"),
            ("SELECT count(DISTINCT n) FROM (VALUES (1), (1)) AS t(n)", "1"),
            ("SELECT string_agg(n, ',' ORDER BY n DESC) FROM (VALUES ('a'), ('b')) AS t(n)", "b,a"),
            ("SELECT n FROM (VALUES (1), (2)) AS t(n) GROUP BY ROLLUP (n) ORDER BY n", "1;2;"),
            ("SELECT * EXCLUDE (a) FROM (VALUES (1, 2)) AS t(a, b)", "2"),
            ("FROM (VALUES (1, 2)) AS t(a, b)", "1,2"),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }
}
