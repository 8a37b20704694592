//! How many bytes a call will make, at most: an estimate from the arguments, rather too large than too small.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

use super::widths::bytes_of;

type Size = fn(&Arguments<'_>) -> Result<u64>;

/// The size of the result of a growing function; `None` for all others.
pub(super) fn of_function(name: &str) -> Option<Size> {
    let size: Size = match name {
        "repeat" => |of| of.rows(|row| row.bytes(0).saturating_mul(row.count(1))),
        // A letter takes four bytes at most.
        "lpad" | "rpad" => |of| of.rows(|row| row.bytes(0).max(row.count(1).saturating_mul(4))),
        "replace" => |of| {
            of.rows(|row| {
                let found = row.bytes(0) / row.bytes(1).max(1) + 1;
                row.bytes(0).saturating_add(found.saturating_mul(row.bytes(2)))
            })
        },
        "regexp_replace" => |of| {
            of.rows(|row| {
                let text = row.bytes(0);
                let found = (text + 1).saturating_mul(row.bytes(2));
                text.saturating_add(found).saturating_add(text.saturating_mul(row.bytes(2) / 2))
            })
        },
        "translate" => |of| of.rows(|row| row.bytes(0).saturating_mul(4)),
        // The separator comes first.
        "concat_ws" => |of| {
            of.rows(|row| {
                let parts = row.elements().saturating_add(row.width() as u64);
                row.all_bytes().saturating_add(parts.saturating_mul(row.bytes(0)))
            })
        },
        // The list comes first, then the separator and what stands for nulls. Lists in the list are of so many bytes at
        // most as they have elements.
        "array_to_string" => |of| {
            of.rows(|row| {
                let parts = if row.is_nested(0) { row.bytes(0) } else { row.elements_of(0) };
                let part = row.bytes(1).saturating_add(row.bytes(2)).saturating_add(NUMBER_LETTERS);
                row.bytes(0).saturating_add(parts.saturating_mul(part))
            })
        },
        "concat" | "make_array" | "array_concat" | "array_append" | "array_prepend" | "array_union"
        | "overlay" => |of| Ok(of.sum_bytes()),
        "array_replace" | "array_replace_n" | "array_replace_all" => {
            |of| of.rows(|row| row.bytes(0).saturating_add(row.elements().saturating_mul(row.bytes(2))))
        }
        "string_to_array" => |of| of.rows(|row| row.bytes(0).saturating_add(1).saturating_mul(16)),
        "to_char" | "date_format" => |of| of.rows(|row| row.bytes(1).saturating_mul(16)),
        "encode" => |of| of.rows(|row| row.bytes(0).saturating_mul(2)),
        "array_repeat" => |of| of.rows(|row| row.bytes(0).max(8).saturating_mul(row.count(1))),
        "array_resize" => |of| {
            of.rows(|row| {
                let width = row.bytes(2).max(row.bytes(0) / row.elements().max(1)).max(8);
                row.bytes(0).saturating_add(row.count(1).saturating_mul(width))
            })
        },
        "range" | "generate_series" => |of| of.rows(|row| row.steps().saturating_mul(8)),
        _ => return None,
    };
    Some(size)
}

/// Letters of a number or a time as text at most.
const NUMBER_LETTERS: u64 = 40;

/// Bytes of a constant.
pub(super) fn constant_bytes(value: &ScalarValue) -> usize {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len)
        }
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) | ScalarValue::BinaryView(bytes) => {
            bytes.as_ref().map_or(0, Vec::len)
        }
        ScalarValue::List(list) => list.get_array_memory_size(),
        ScalarValue::LargeList(list) => list.get_array_memory_size(),
        other => other.size(),
    }
}

/// A constant as a whole number, where it is one.
pub(super) fn integer(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

/// Arguments of a call.
pub(super) struct Arguments<'a> {
    columns: Vec<Column<'a>>,
    row_count: usize,
}

/// One argument: what is read of it is made when it is asked for first.
struct Column<'a> {
    value: &'a ColumnarValue,
    numbers: std::cell::OnceCell<Option<ArrayRef>>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(values: &'a [ColumnarValue], row_count: usize) -> Self {
        let constant = values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let column = |value| Column { value, numbers: std::cell::OnceCell::new() };
        Self { columns: values.iter().map(column).collect(), row_count: if constant { 1 } else { row_count } }
    }

    pub(super) fn rows(&self, size: impl Fn(&Row<'_>) -> u64) -> Result<u64> {
        Ok((0..self.row_count)
            .fold(0, |sum: u64, row| sum.saturating_add(size(&Row { arguments: self, row }))))
    }

    /// All arguments, a constant as often as there are rows.
    pub(super) fn sum_bytes(&self) -> u64 {
        let bytes = |column: &Column<'_>| match column.value {
            ColumnarValue::Scalar(value) => {
                (constant_bytes(value) as u64).saturating_mul(self.row_count as u64)
            }
            ColumnarValue::Array(array) => {
                (0..array.len()).fold(0, |sum: u64, row| sum.saturating_add(bytes_at(array, row)))
            }
        };
        self.columns.iter().fold(0, |sum, column| sum.saturating_add(bytes(column)))
    }
}

/// The arguments of one row.
pub(super) struct Row<'a> {
    arguments: &'a Arguments<'a>,
    row: usize,
}

impl Row<'_> {
    pub(super) fn width(&self) -> usize {
        self.arguments.columns.len()
    }

    fn value(&self, column: usize) -> Option<&ColumnarValue> {
        self.arguments.columns.get(column).map(|column| column.value)
    }

    /// Bytes of an argument.
    pub(super) fn bytes(&self, column: usize) -> u64 {
        match self.value(column) {
            None => 0,
            Some(ColumnarValue::Scalar(value)) => constant_bytes(value) as u64,
            Some(ColumnarValue::Array(array)) => bytes_at(array, self.row),
        }
    }

    pub(super) fn all_bytes(&self) -> u64 {
        (0..self.width()).fold(0, |sum, column| sum.saturating_add(self.bytes(column)))
    }

    /// Elements of the lists among the arguments.
    fn elements(&self) -> u64 {
        (0..self.width()).fold(0, |sum, column| sum.saturating_add(self.elements_of(column)))
    }

    /// Elements of the list that an argument is.
    pub(super) fn elements_of(&self, column: usize) -> u64 {
        match self.value(column) {
            Some(ColumnarValue::Array(array)) => elements_at(array, self.row),
            Some(ColumnarValue::Scalar(ScalarValue::List(list))) => list.values().len() as u64,
            Some(ColumnarValue::Scalar(ScalarValue::LargeList(list))) => list.values().len() as u64,
            _ => 0,
        }
    }

    /// An argument is a list of lists, or of others that hold several values.
    fn is_nested(&self, column: usize) -> bool {
        let Some(value) = self.value(column) else { return false };
        match value.data_type() {
            DataType::List(element) | DataType::LargeList(element) => element.data_type().is_nested(),
            _ => true,
        }
    }

    /// An argument that is text.
    pub(super) fn text(&self, column: usize) -> Option<&str> {
        match self.value(column)? {
            ColumnarValue::Scalar(value) => value.try_as_str().flatten(),
            ColumnarValue::Array(array) if array.is_null(self.row) => None,
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Some(array.as_string::<i32>().value(self.row)),
                DataType::LargeUtf8 => Some(array.as_string::<i64>().value(self.row)),
                DataType::Utf8View => Some(array.as_string_view().value(self.row)),
                _ => None,
            },
        }
    }

    fn integer(&self, column: usize) -> Option<i64> {
        let column = self.arguments.columns.get(column)?;
        match column.value {
            ColumnarValue::Scalar(value) => integer_of_time(value),
            ColumnarValue::Array(array) => {
                let numbers = column.numbers.get_or_init(|| integers(array)).as_ref()?;
                let numbers = numbers.as_primitive::<Int64Type>();
                numbers.is_valid(self.row).then(|| numbers.value(self.row))
            }
        }
    }

    /// A count; what is no number counts nothing.
    fn count(&self, column: usize) -> u64 {
        u64::try_from(self.integer(column).unwrap_or(0)).unwrap_or(0)
    }

    /// Steps from start to stop.
    fn steps(&self) -> u64 {
        let (start, stop) = match self.width() {
            0 => return 0,
            1 => (Some(0), self.integer(0)),
            _ => (self.integer(0), self.integer(1)),
        };
        let (Some(start), Some(stop)) = (start, stop) else { return 0 };
        let step = if self.width() > 2 { self.integer(2).unwrap_or(1) } else { 1 };
        start.abs_diff(stop) / step.unsigned_abs().max(1) + 1
    }
}

const NANOSECONDS_OF_DAY: i64 = 86_400_000_000_000;

/// Numbers as they are, moments in nanoseconds, spans of time in nanoseconds (a month as its shortest).
fn integer_of_time(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(span)) => {
            let days = i64::from(span.months) * 28 + i64::from(span.days);
            Some(days.saturating_mul(NANOSECONDS_OF_DAY).saturating_add(span.nanoseconds))
        }
        _ => {
            let array = value.to_array().ok()?;
            let numbers = integers(&array)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            numbers.is_valid(0).then(|| numbers.value(0))
        }
    }
}

fn integers(array: &ArrayRef) -> Option<ArrayRef> {
    use arrow::array::Int64Array;
    use arrow::datatypes::{IntervalMonthDayNanoType, TimeUnit};
    match array.data_type() {
        DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano) => {
            let spans = array.as_primitive::<IntervalMonthDayNanoType>();
            let numbers = spans.iter().map(|span| integer_of_time(&ScalarValue::IntervalMonthDayNano(span)));
            Some(std::sync::Arc::new(numbers.collect::<Int64Array>()))
        }
        DataType::Date32 | DataType::Date64 => {
            let moments = cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None)).ok()?;
            cast(&moments, &DataType::Int64).ok()
        }
        DataType::Timestamp(_, zone) => {
            let moments = cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, zone.clone())).ok()?;
            cast(&moments, &DataType::Int64).ok()
        }
        _ => cast(array, &DataType::Int64).ok(),
    }
}

/// Bytes of one value of an array.
pub(super) fn bytes_at(array: &ArrayRef, row: usize) -> u64 {
    if array.is_null(row) {
        return 0;
    }
    let length = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).len(),
        DataType::Utf8View => array.as_string_view().value(row).len(),
        DataType::Binary => array.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => array.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => array.as_binary_view().value(row).len(),
        DataType::List(_) => list_bytes(array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list_bytes(array.as_list::<i64>().value(row).as_ref()),
        DataType::Boolean | DataType::Null => 1,
        other => match other.primitive_width() {
            Some(width) => width,
            // A struct, a map or another nest: all that its one row takes.
            None => bytes_of(array.slice(row, 1).as_ref()),
        },
    };
    length as u64
}

/// Bytes of a part of the values of a list, which may share its memory with all others.
fn list_bytes(values: &dyn Array) -> usize {
    match values.data_type().primitive_width() {
        Some(width) => width * values.len(),
        None => values.to_data().get_slice_memory_size().unwrap_or_else(|_| values.get_array_memory_size()),
    }
}

/// Elements of one list of an array.
pub(super) fn elements_at(array: &ArrayRef, row: usize) -> u64 {
    elements_of_depth(array, row, 1)
}

/// Elements of one list of an array, or of the lists in it so many levels down.
pub(super) fn elements_of_depth(array: &dyn Array, row: usize, depth: usize) -> u64 {
    let values = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::ListView(_) => array.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        DataType::Map(..) => std::sync::Arc::new(array.as_map().value(row)),
        _ => return 0,
    };
    if depth <= 1 {
        return values.len() as u64;
    }
    (0..values.len())
        .fold(0, |sum: u64, row| sum.saturating_add(elements_of_depth(&values, row, depth - 1).max(1)))
}
