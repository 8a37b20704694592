//! What a waveform function is called, takes and gives.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{DocSection, Documentation};

use super::{Answer, Arguments, Refusal};

/// A function over samples.
#[derive(Debug)]
pub(crate) struct WaveformFunction {
    /// Name in SQL.
    pub(crate) name: &'static str,
    /// What it gives, with unit, gaps and reference: sentences.
    pub(crate) doc: &'static str,
    /// Arguments in order; those with a default come last.
    pub(crate) arguments: &'static [Argument],
    /// What it gives.
    pub(crate) returns: Returns,
    /// An expression for the documentation.
    pub(crate) example: &'static str,
    /// The step for one row.
    pub(crate) apply: fn(&mut Arguments<'_>) -> std::result::Result<Answer, Refusal>,
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    /// A list of doubles; gaps are null.
    List,
    /// A double.
    Number,
    /// Text.
    Text,
}

impl Returns {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::List => list_of_doubles(),
            Self::Number => DataType::Float64,
            Self::Text => DataType::Utf8,
        }
    }
}

/// An argument of a function.
#[derive(Debug)]
pub(crate) struct Argument {
    /// Name in the documentation and in error sentences.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Value where it is left out, in SQL; `None`: it must be there.
    pub(crate) default: Option<&'static str>,
    /// Meaning and unit.
    pub(crate) doc: &'static str,
}

/// What an argument holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list of numbers.
    List,
    Number,
    Flag,
    Text,
}

/// The samples that most functions begin with.
pub(crate) const SAMPLES: Argument =
    Argument::list("samples", "Samples: a list of numbers, such as `samples` of `waveform.segments`.");
/// Their rate.
pub(crate) const SAMPLE_RATE_HZ: Argument = Argument::number("sample_rate_hz", "Sample rate, Hz.");

impl Argument {
    pub(crate) const fn list(name: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::List, default: None, doc }
    }

    pub(crate) const fn number(name: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Number, default: None, doc }
    }

    pub(crate) const fn flag(name: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Flag, default: None, doc }
    }

    pub(crate) const fn text(name: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Text, default: None, doc }
    }

    /// The argument may be left out and then has this value.
    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

impl Kind {
    /// The type that values of the type given are cast to; `None` where they are no good. Integer samples stay what
    /// they are: a cast would copy them once more.
    pub(super) fn accepts(self, given: &DataType) -> Option<DataType> {
        match (self, given) {
            (Self::List, DataType::List(element)) if is_read_directly(element.data_type()) => {
                Some(given.clone())
            }
            (Self::List, DataType::Null) => Some(list_of_doubles()),
            (
                Self::List,
                DataType::List(element)
                | DataType::LargeList(element)
                | DataType::FixedSizeList(element, _)
                | DataType::ListView(element)
                | DataType::LargeListView(element),
            ) if element.data_type().is_numeric() || element.data_type().is_null() => Some(list_of_doubles()),
            (Self::Number, given) if given.is_numeric() || given.is_null() => Some(DataType::Float64),
            (Self::Flag, DataType::Boolean | DataType::Null) => Some(DataType::Boolean),
            (Self::Text, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) => {
                Some(DataType::Utf8)
            }
            _ => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::List => "a list of numbers",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Text => "text",
        }
    }
}

fn is_read_directly(element: &DataType) -> bool {
    matches!(element, DataType::Int32 | DataType::Float64)
}

pub(super) fn list_of_doubles() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
}

impl WaveformFunction {
    /// Refuses arguments of a wrong number or type in one sentence.
    pub(super) fn check(&self, given: &[DataType]) -> Result<()> {
        let needed = self.arguments.iter().filter(|argument| argument.default.is_none()).count();
        if given.len() < needed || given.len() > self.arguments.len() {
            return plan_err!(
                "{} takes {}, not {} arguments",
                self.name,
                self.arguments_in_brackets(),
                given.len()
            );
        }
        for (argument, given) in self.arguments.iter().zip(given) {
            if argument.kind.accepts(given).is_none() {
                return plan_err!(
                    "{}: {} must be {}, not {given}",
                    self.name,
                    argument.name,
                    argument.kind.words()
                );
            }
        }
        Ok(())
    }

    /// `(samples, sample_rate_hz [, order])`.
    fn arguments_in_brackets(&self) -> String {
        let mut text = String::from("(");
        for (index, argument) in self.arguments.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match argument.default {
                None => text += &format!("{separator}{}", argument.name),
                Some(_) => text += &format!(" [{separator}{}]", argument.name),
            }
        }
        text + ")"
    }

    pub(super) fn documentation(&self) -> Documentation {
        let section = DocSection { include: true, label: "Waveform Functions", description: None };
        let syntax = format!("{}{}", self.name, self.arguments_in_brackets());
        let mut documentation =
            Documentation::builder(section, self.doc, syntax).with_sql_example(self.example);
        for argument in self.arguments {
            let default = argument.default.map(|value| format!(" Default: {value}.")).unwrap_or_default();
            documentation = documentation.with_argument(argument.name, format!("{}{default}", argument.doc));
        }
        documentation.build()
    }
}
