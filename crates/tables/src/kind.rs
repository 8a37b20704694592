//! Types of columns: how values become an array of one, and are read from its cells.
//!
//! A type is a struct without values. Values are written by a trait ([`AsText`], [`AsInteger`], …) and read by [`FromCell`]
//! of that type; both hold for values that may be missing (`Option`) as for the values themselves.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Float64Builder, Int32Array, Int32Builder, Int64Array, Int64Builder,
    LargeBinaryArray, ListArray, ListBuilder, StringBuilder, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use seislake_model::{
    AmplitudeId, ArrivalId, Condition, EvaluationMode, EvaluationStatus, EventId, EventStatus, MagnitudeId,
    Onset, OriginId, Phase, PickId, Polarity, Provenance, Response, SourceId, Timestamp,
};

use crate::ColumnType;
use crate::cells::{Cell, CellError};
use crate::schema::{UTC, element_field};

/// A value that a cell of a column of type `K` holds.
pub trait FromCell<K>: Sized {
    /// The value; the cell is not null.
    ///
    /// # Errors
    /// A cell that holds none.
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError>;

    /// The value of a cell that may be null.
    ///
    /// # Errors
    /// A cell that holds none.
    fn from_any(cell: Cell<'_>) -> Result<Self, CellError> {
        if cell.is_null() { Err(cell.unfit("is null")) } else { Self::from_cell(cell) }
    }
}

impl<K, T: FromCell<K>> FromCell<K> for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        T::from_cell(cell).map(Some)
    }

    fn from_any(cell: Cell<'_>) -> Result<Self, CellError> {
        if cell.is_null() { Ok(None) } else { Self::from_cell(cell) }
    }
}

/// Declares types of columns with the types that they have on disk.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $(($element:ident))? = $type:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $kind;

            impl $kind {
                /// The type on disk.
                pub const fn column_type($($element: i32)?) -> ColumnType {
                    $type
                }

                /// The value of a cell.
                ///
                /// # Errors
                /// A cell that holds none.
                pub fn value<T: FromCell<Self>>(cell: Cell<'_>) -> Result<T, CellError> {
                    T::from_any(cell)
                }
            }
        )+
    };
}

kinds! {
    /// UTF-8.
    Text = ColumnType::Text;
    /// 32-bit integers.
    Int = ColumnType::Int;
    /// 64-bit integers.
    Long = ColumnType::Long;
    /// 64-bit floats.
    Double = ColumnType::Double;
    /// Moments to the microsecond.
    Time = ColumnType::Time;
    /// Moments as nanoseconds since 1970.
    Nanos = ColumnType::Long;
    /// Bytes.
    Binary = ColumnType::Binary;
    /// Checksums as lower-case hexadecimal text.
    Hex = ColumnType::Text;
    /// JSON as text.
    Json = ColumnType::Text;
    /// Lists of 32-bit integers.
    IntList(element) = ColumnType::IntList(element);
    /// Lists of moments as nanoseconds since 1970.
    NanosList(element) = ColumnType::LongList(element);
    /// Lists of 64-bit floats.
    DoubleList(element) = ColumnType::DoubleList(element);
}

/// What a text column takes.
pub trait AsText {
    /// The text; `None`: null.
    fn as_text(&self) -> Option<&str>;
}

impl<T: AsText + ?Sized> AsText for &T {
    fn as_text(&self) -> Option<&str> {
        T::as_text(self)
    }
}

impl<T: AsText> AsText for Option<T> {
    fn as_text(&self) -> Option<&str> {
        self.as_ref().and_then(AsText::as_text)
    }
}

impl AsText for str {
    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

/// Texts that are written and read as they are.
macro_rules! texts {
    ($($kind:ty: $read:expr;)+) => {
        $(
            impl AsText for $kind {
                fn as_text(&self) -> Option<&str> {
                    Some(self)
                }
            }

            impl FromCell<Text> for $kind {
                fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
                    Ok($read(cell))
                }
            }
        )+
    };
}

texts! {
    String: |cell: Cell<'_>| cell.text().to_owned();
    Cow<'static, str>: |cell: Cell<'_>| Cow::Owned(cell.text().to_owned());
    Arc<str>: Cell::shared_text;
    PickId: |cell: Cell<'_>| PickId::from(cell.text());
    EventId: |cell: Cell<'_>| EventId::from(cell.text());
    OriginId: |cell: Cell<'_>| OriginId::from(cell.text());
    ArrivalId: |cell: Cell<'_>| ArrivalId::from(cell.text());
    AmplitudeId: |cell: Cell<'_>| AmplitudeId::from(cell.text());
    MagnitudeId: |cell: Cell<'_>| MagnitudeId::from(cell.text());
}

impl AsText for SourceId {
    fn as_text(&self) -> Option<&str> {
        Some(self.as_str())
    }
}

impl FromCell<Text> for SourceId {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        let text = cell.text();
        text.parse()
            .map_err(|_| cell.unfit(&format!("holds \"{}\", no source identifier", text.escape_debug())))
    }
}

/// Values that are one of a few words.
macro_rules! words {
    ($($kind:ident: $($word:ident),+;)+) => {
        $(
            impl AsText for $kind {
                fn as_text(&self) -> Option<&str> {
                    Some(self.as_str())
                }
            }

            impl FromCell<Text> for $kind {
                fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
                    let words = [$($kind::$word),+];
                    words.into_iter().find(|word| word.as_str() == cell.text()).ok_or_else(|| {
                        cell.unfit(&format!("holds the unknown word \"{}\"", cell.text().escape_debug()))
                    })
                }
            }
        )+
    };
}

words! {
    Phase: P, S;
    Polarity: Positive, Negative, Undecidable;
    Onset: Impulsive, Emergent;
    EventStatus: Preliminary, Closed, Deleted;
    EvaluationMode: Automatic, Manual;
    EvaluationStatus: Rejected, Preliminary, Confirmed, Reviewed, Final;
    Condition: Good, Dead, Clipped, Spiky;
}

impl Text {
    /// The column of these values.
    pub fn array<V: AsText>(values: impl Iterator<Item = V>) -> ArrayRef {
        let mut builder = StringBuilder::with_capacity(values.size_hint().0, 0);
        values.for_each(|value| builder.append_option(value.as_text()));
        Arc::new(builder.finish())
    }
}

/// What a column of integers takes.
pub trait AsInteger {
    /// The integer; `None`: null.
    fn as_integer(&self) -> Option<i64>;
}

impl<T: AsInteger> AsInteger for &T {
    fn as_integer(&self) -> Option<i64> {
        T::as_integer(self)
    }
}

impl<T: AsInteger> AsInteger for Option<T> {
    fn as_integer(&self) -> Option<i64> {
        self.as_ref().and_then(AsInteger::as_integer)
    }
}

macro_rules! integers {
    ($($type:ty),+) => {
        $(
            impl AsInteger for $type {
                fn as_integer(&self) -> Option<i64> {
                    // Counts and offsets stay far below the limit.
                    Some(*self as i64)
                }
            }

            impl FromCell<Int> for $type {
                fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
                    let integer = cell.integer();
                    Self::try_from(integer).map_err(|_| cell.unfit(&format!("is {integer}, out of its range")))
                }
            }

            impl FromCell<Long> for $type {
                fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
                    FromCell::<Int>::from_cell(cell)
                }
            }
        )+
    };
}

integers!(u8, i32, u32, i64, u64);

impl Int {
    /// The column of these values.
    pub fn array<V: AsInteger>(values: impl Iterator<Item = V>) -> ArrayRef {
        let integers = values.map(|value| value.as_integer().map(|integer| integer as i32));
        Arc::new(integers.collect::<Int32Array>())
    }
}

impl Long {
    /// The column of these values.
    pub fn array<V: AsInteger>(values: impl Iterator<Item = V>) -> ArrayRef {
        Arc::new(values.map(|value| value.as_integer()).collect::<Int64Array>())
    }
}

/// What a column of floats takes.
pub trait AsFloat {
    /// The float; `None`: null.
    fn as_float(&self) -> Option<f64>;
}

impl<T: AsFloat> AsFloat for &T {
    fn as_float(&self) -> Option<f64> {
        T::as_float(self)
    }
}

impl<T: AsFloat> AsFloat for Option<T> {
    fn as_float(&self) -> Option<f64> {
        self.as_ref().and_then(AsFloat::as_float)
    }
}

impl AsFloat for f64 {
    fn as_float(&self) -> Option<f64> {
        Some(*self)
    }
}

impl FromCell<Double> for f64 {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        Ok(cell.float())
    }
}

impl Double {
    /// The column of these values.
    pub fn array<V: AsFloat>(values: impl Iterator<Item = V>) -> ArrayRef {
        Arc::new(values.map(|value| value.as_float()).collect::<Float64Array>())
    }
}

/// What a column of moments takes.
pub trait AsTime {
    /// The moment; `None`: null.
    fn as_time(&self) -> Option<Timestamp>;
}

impl<T: AsTime> AsTime for &T {
    fn as_time(&self) -> Option<Timestamp> {
        T::as_time(self)
    }
}

impl<T: AsTime> AsTime for Option<T> {
    fn as_time(&self) -> Option<Timestamp> {
        self.as_ref().and_then(AsTime::as_time)
    }
}

impl AsTime for Timestamp {
    fn as_time(&self) -> Option<Timestamp> {
        Some(*self)
    }
}

impl FromCell<Time> for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        Ok(cell.time())
    }
}

impl FromCell<Nanos> for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        Ok(Self::from_nanos(cell.integer()))
    }
}

impl Time {
    /// The column of these values.
    pub fn array<V: AsTime>(values: impl Iterator<Item = V>) -> ArrayRef {
        let micros = values.map(|value| value.as_time().map(Timestamp::micros));
        Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone(UTC))
    }
}

impl Nanos {
    /// The column of these values.
    pub fn array<V: AsTime>(values: impl Iterator<Item = V>) -> ArrayRef {
        Arc::new(values.map(|value| value.as_time().map(Timestamp::nanos)).collect::<Int64Array>())
    }
}

impl FromCell<Binary> for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        Ok(cell.bytes().to_vec())
    }
}

impl Binary {
    /// The column of these values.
    pub fn array<'a>(values: impl Iterator<Item = &'a Vec<u8>>) -> ArrayRef {
        Arc::new(LargeBinaryArray::from_iter_values(values))
    }
}

impl<const N: usize> FromCell<Hex> for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        let unfit = || cell.unfit(&format!("is no {N} bytes in hexadecimal"));
        let digits = cell.text().as_bytes();
        let mut bytes = [0; N];
        if digits.len() != 2 * N {
            return Err(unfit());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| unfit())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| unfit())?;
        }
        Ok(bytes)
    }
}

impl Hex {
    /// The column of these values.
    pub fn array<'a, const N: usize>(values: impl Iterator<Item = &'a [u8; N]>) -> ArrayRef {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let count = values.size_hint().0;
        let mut builder = StringBuilder::with_capacity(count, 2 * N * count);
        let mut text = String::with_capacity(2 * N);
        for value in values {
            text.clear();
            for byte in value {
                text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                text.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
            builder.append_value(&text);
        }
        Arc::new(builder.finish())
    }
}

impl FromCell<Json> for Response {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        serde_json::from_str(cell.text()).map_err(|error| cell.unfit(&format!("cannot be read: {error}")))
    }
}

impl Json {
    /// The column of these values.
    pub fn array<'a>(values: impl Iterator<Item = &'a Option<Response>>) -> ArrayRef {
        // A response is numbers and words: it always becomes JSON (numbers that are not finite become null, and are
        // refused when they are read).
        let json = |value: &Response| serde_json::to_string(value).ok();
        Text::array(values.map(|value| value.as_ref().and_then(json)))
    }
}

impl FromCell<IntList> for Vec<i32> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        cell.list::<Int32Type>()
    }
}

impl IntList {
    /// The column of these values.
    pub fn array<'a, V: Into<Option<&'a [i32]>>>(
        element: i32,
        lists: impl Iterator<Item = V> + Clone,
    ) -> ArrayRef {
        let count = lists.clone().filter_map(Into::into).map(<[i32]>::len).sum();
        let values = Int32Builder::with_capacity(count);
        let mut builder = ListBuilder::new(values).with_field(element_field(element, DataType::Int32));
        for list in lists {
            let list = list.into();
            builder.values().append_slice(list.unwrap_or_default());
            builder.append(list.is_some());
        }
        Arc::new(builder.finish())
    }

    /// One list: the memory of `values` becomes the array's.
    pub(crate) fn array_of_one(element: i32, values: Vec<i32>) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let field = Arc::new(element_field(element, DataType::Int32));
        Arc::new(ListArray::new(field, offsets, Arc::new(Int32Array::from(values)), None))
    }
}

impl FromCell<NanosList> for Vec<Timestamp> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        Ok(cell.list::<Int64Type>()?.into_iter().map(Timestamp::from_nanos).collect())
    }
}

impl NanosList {
    /// The column of these values.
    pub fn array<I: Iterator<Item = Timestamp>>(element: i32, lists: impl Iterator<Item = I>) -> ArrayRef {
        let field = element_field(element, DataType::Int64);
        let mut builder = ListBuilder::new(Int64Builder::new()).with_field(field);
        for list in lists {
            list.for_each(|moment| builder.values().append_value(moment.nanos()));
            builder.append(true);
        }
        Arc::new(builder.finish())
    }
}

impl FromCell<DoubleList> for Vec<f64> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, CellError> {
        cell.list::<Float64Type>()
    }
}

impl DoubleList {
    /// The column of these values.
    pub fn array<I: Iterator<Item = f64>>(element: i32, lists: impl Iterator<Item = Option<I>>) -> ArrayRef {
        let field = element_field(element, DataType::Float64);
        let mut builder = ListBuilder::new(Float64Builder::new()).with_field(field);
        for list in lists {
            let is_there = list.is_some();
            list.into_iter().flatten().for_each(|value| builder.values().append_value(value));
            builder.append(is_there);
        }
        Arc::new(builder.finish())
    }
}

/// A code of each source identifier; neighbours with the same identifier are taken apart once.
pub fn codes<'a, S: AsRef<str> + 'a>(
    source_ids: impl Iterator<Item = &'a SourceId>,
    code: impl Fn(&'a SourceId) -> S,
) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(source_ids.size_hint().0, 0);
    let mut last: Option<(&SourceId, S)> = None;
    for source_id in source_ids {
        let text = match &last {
            Some((same, text)) if *same == source_id => text,
            _ => &last.insert((source_id, code(source_id))).1,
        };
        builder.append_value(text);
    }
    Arc::new(builder.finish())
}

/// What the columns of a provenance tell; rows of older versions tell nothing.
pub fn provenance(
    agency_id: Option<String>,
    author: Option<String>,
    evaluation_mode: Option<EvaluationMode>,
    evaluation_status: Option<EvaluationStatus>,
    method: Option<String>,
    method_version: Option<String>,
    creation_time: Option<Timestamp>,
) -> Provenance {
    Provenance {
        agency_id: agency_id.unwrap_or_default(),
        author: author.unwrap_or_default(),
        evaluation_mode: evaluation_mode.unwrap_or_default(),
        evaluation_status: evaluation_status.unwrap_or_default(),
        method: method.unwrap_or_default(),
        method_version: method_version.unwrap_or_default(),
        creation_time,
    }
}
