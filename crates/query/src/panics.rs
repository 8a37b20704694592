//! The engine panics at some values (`date_bin` far before its origin, a series that ends at the last number there is):
//! for who asked that is an error like any other, in a sentence that names the function, and the log says nothing.
//!
//! ```text
//! step of a statement ─ Calls::caught ─► its result
//!                         └ panic ─ silent for code that is not ours ─► Execution error that names the calls
//! ```
//! A panic in code of this house is a fault of ours: it is caught as well, and told (`seislake_model::silently`).
//! A task that the engine spawns is only kept silent: the engine hands its panic on to who waits for it.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, TableFactor, Visit, Visitor};
use futures::FutureExt;
use futures::future::BoxFuture;
use seislake_model::{silently, take_panicking_file};

/// Functions that a sentence names at most.
const NAMES_MAX: usize = 6;
/// Letters of a name at most: nobody calls a function of a longer one.
const NAME_LETTERS_MAX: usize = 40;

/// The functions that a statement calls, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<[String]>);

impl Calls {
    pub(crate) fn of(statement: &Statement) -> Self {
        let mut inner = statement;
        while let Statement::Explain(explain) = inner {
            inner = &explain.statement;
        }
        let mut names = Names(vec![]);
        if let Statement::Statement(sql) = inner {
            let _ = Visit::visit(sql.as_ref(), &mut names);
        }
        Self(names.0.into())
    }

    /// Does work of the statement; a panic is an error.
    pub(crate) fn caught<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        silently(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| {
            let file = take_panicking_file();
            let stem = Path::new(&file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            DataFusionError::Execution(self.sentence(&stem.unwrap_or_default(), &text(&*panic)))
        })
    }

    /// `file` without its ending is the name of most functions.
    fn sentence(&self, file: &str, text: &str) -> String {
        let quoted: Vec<String> = self.0.iter().take(NAMES_MAX).map(|name| format!("\"{name}\"")).collect();
        let culprit = match &*self.0 {
            [] => return format!("the engine cannot calculate this statement with these values: {text}"),
            [one] => format!("\"{one}\""),
            many if many.iter().any(|name| name == file) => format!("\"{file}\""),
            _ => format!("one of {}", quoted.join(", ")),
        };
        format!("{culprit} cannot be calculated with these arguments: {text}")
    }
}

struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: &ObjectName) {
        let name = name.to_string().to_lowercase();
        if self.0.len() < NAMES_MAX && name.len() <= NAME_LETTERS_MAX && !self.0.contains(&name) {
            self.0.push(name);
        }
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) => self.add(&function.name),
            Expr::Extract { .. } => self.add(&ObjectName::from(vec!["extract".into()])),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.add(name);
            }
            TableFactor::UNNEST { .. } => self.add(&ObjectName::from(vec!["unnest".into()])),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What a panic said, in one line.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.and_then(|text| text.lines().next()).unwrap_or("it gave no reason").to_owned()
}

/// A task that the engine spawned for a statement: its panic goes on to who waits for it.
pub(crate) struct Silent<T>(pub(crate) BoxFuture<'static, T>);

impl<T> Future for Silent<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        silently(|| self.0.poll_unpin(context))
    }
}

/// A step of a statement whose panic is an error.
pub(crate) struct Caught<T>(pub(crate) Calls, pub(crate) BoxFuture<'static, T>);

impl<T> Future for Caught<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Self(calls, future) = &mut *self;
        match calls.caught(|| future.poll_unpin(context)) {
            Ok(polled) => polled.map(Ok),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests;
