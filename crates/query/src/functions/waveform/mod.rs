//! A function over samples as data: name, arguments, meaning and the step for one row. [`WaveformFunction::udf`] makes
//! it a SQL function; `docs/functions.md` and `information_schema.routines` say what it says.
//!
//! ```text
//! columns ── one row: samples with gaps as NaN, numbers, text ── apply ── samples or a number ── column
//!            a null argument makes the row null                  └─ seislake_seismo::signal, seislake_seismo::pick
//! ```
//! What the lists of a batch take, given and made, is counted by the session's memory ([`HeldLists`]).
//! Nulls, NaN and infinities among samples are gaps. What keeps the length of the samples runs over each gapless run
//! anew and leaves the gaps null; what cannot refuses samples with gaps.

mod answer;
mod arguments;
mod definition;

pub(super) use answer::Answer;
pub(super) use arguments::{Arguments, Refusal, refusal, runs};
pub(super) use definition::{Argument, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction};

use std::any::Any;
use std::hash::{Hash, Hasher};

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use answer::Answers;
use arguments::Columns;

use crate::list_memory::HeldLists;

impl WaveformFunction {
    /// The SQL function.
    pub(super) fn udf(&'static self) -> ScalarUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::new_from_impl(Waveform {
            definition: self,
            signature,
            documentation: self.documentation(),
        })
    }
}

#[derive(Debug)]
struct Waveform {
    definition: &'static WaveformFunction,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for Waveform {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Waveform {}

impl Hash for Waveform {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Waveform {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Types that are no good stay as they are: [`Self::return_type`] refuses them in a sentence of ours.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = |(index, given): (usize, &DataType)| {
            let argument = self.definition.arguments.get(index);
            argument.and_then(|argument| argument.kind.accepts(given)).unwrap_or_else(|| given.clone())
        };
        Ok(given.iter().enumerate().map(wanted).collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.definition.check(given)?;
        Ok(self.definition.returns.data_type())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let row_count = call.number_rows;
        let columns = Columns::new(self.definition, &call.args)?;
        let mut answers = Answers::new(self.definition.returns, row_count);
        let mut scratch = arguments::Scratch::default();
        let held = HeldLists::new(&call.config_options, self.definition.name);
        let given_bytes = columns.byte_count();
        for row in 0..row_count {
            // Before the row is read: its samples are copied as doubles, and most answers are as long.
            held.resize(given_bytes + answers.byte_count() + columns.row_byte_count(row))?;
            let Some(mut arguments) = columns.row(row, &mut scratch) else {
                answers.push(None);
                continue;
            };
            match (self.definition.apply)(&mut arguments) {
                Ok(answer) => answers.push(Some(answer)),
                Err(refusal) => return exec_err!("{}: {}", self.definition.name, refusal.0),
            }
        }
        held.resize(given_bytes + answers.byte_count())?;
        Ok(ColumnarValue::Array(answers.finish()?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
