//! Arrow arrays from the fields of rows: one function per column type; values may be `T` or `Option<T>`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Float64Builder, Int32Array, Int32Builder, Int64Array, Int64Builder,
    LargeBinaryArray, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use seislake_model::{SourceId, Timestamp};

/// Time zone of `timestamptz` in Arrow.
const UTC: &str = "+00:00";

pub(super) fn int<V: Into<Option<i32>>>(values: impl Iterator<Item = V>) -> ArrayRef {
    Arc::new(values.map(Into::into).collect::<Int32Array>())
}

pub(super) fn long<V: Into<Option<i64>>>(values: impl Iterator<Item = V>) -> ArrayRef {
    Arc::new(values.map(Into::into).collect::<Int64Array>())
}

pub(super) fn double<V: Into<Option<f64>>>(values: impl Iterator<Item = V>) -> ArrayRef {
    Arc::new(values.map(Into::into).collect::<Float64Array>())
}

pub(super) fn text<S: AsRef<str>>(values: impl Iterator<Item = S>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Source identifiers and their network, station, location and channel codes; neighbours with the same identifier are
/// taken apart once.
pub(super) fn source_texts<'a>(source_ids: impl Iterator<Item = &'a SourceId>) -> [ArrayRef; 5] {
    let mut builders: [StringBuilder; 5] = Default::default();
    let mut last: Option<(&SourceId, [Cow<'a, str>; 4])> = None;
    for source_id in source_ids {
        let codes = match &mut last {
            Some((known, codes)) if *known == source_id => codes,
            _ => {
                let (network, station) = (source_id.network().into(), source_id.station().into());
                let codes = [network, station, source_id.location().into(), source_id.channel().into()];
                &mut last.insert((source_id, codes)).1
            }
        };
        let texts = std::iter::once(source_id.as_str()).chain(codes.iter().map(|code| &**code));
        for (builder, text) in builders.iter_mut().zip(texts) {
            builder.append_value(text);
        }
    }
    builders.map(|mut builder| Arc::new(builder.finish()) as ArrayRef)
}

/// Bytes as lower-case hexadecimal.
pub(super) fn hex_text<'a, const N: usize>(values: impl Iterator<Item = &'a [u8; N]>) -> ArrayRef {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut builder = StringBuilder::with_capacity(values.size_hint().0, 2 * N * values.size_hint().0);
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

pub(super) fn optional_text<S: AsRef<str>>(values: impl Iterator<Item = Option<S>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// Texts of a column, equal ones in one place; nothing where there is no such column.
pub(super) fn shared_texts(batch: &RecordBatch, column: &str) -> Vec<Option<Arc<str>>> {
    let Some(texts) = batch.column_by_name(column).and_then(|column| column.as_string_opt::<i32>()) else {
        return Vec::new();
    };
    let mut known = HashSet::<Arc<str>>::new();
    let shared = texts.iter().map(|text| {
        let text = text?;
        if let Some(known) = known.get(text) {
            return Some(Arc::clone(known));
        }
        let new = Arc::<str>::from(text);
        known.insert(Arc::clone(&new));
        Some(new)
    });
    shared.collect()
}

pub(super) fn binary<'a>(values: impl Iterator<Item = &'a [u8]>) -> ArrayRef {
    Arc::new(LargeBinaryArray::from_iter_values(values))
}

pub(super) fn time<V: Into<Option<Timestamp>>>(values: impl Iterator<Item = V>) -> ArrayRef {
    let micros = values.map(|value| value.into().map(Timestamp::micros));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone(UTC))
}

/// Field of the elements of a list, as Iceberg names it.
fn element(id: i32, kind: DataType) -> Field {
    Field::new("element", kind, false)
        .with_metadata([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into())
}

pub(super) fn int_lists<'a>(id: i32, lists: impl Iterator<Item = Option<&'a [i32]>> + Clone) -> ArrayRef {
    let sample_count = lists.clone().flatten().map(<[i32]>::len).sum();
    let mut builder =
        ListBuilder::new(Int32Builder::with_capacity(sample_count)).with_field(element(id, DataType::Int32));
    for list in lists {
        builder.values().append_slice(list.unwrap_or_default());
        builder.append(list.is_some());
    }
    Arc::new(builder.finish())
}

/// One list: the memory of `values` becomes the array's.
pub(super) fn int_list(id: i32, values: Vec<i32>) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    let field = Arc::new(element(id, DataType::Int32));
    Arc::new(ListArray::new(field, offsets, Arc::new(Int32Array::from(values)), None))
}

pub(super) fn long_lists<I: Iterator<Item = i64>>(id: i32, lists: impl Iterator<Item = I>) -> ArrayRef {
    let mut builder = ListBuilder::new(Int64Builder::new()).with_field(element(id, DataType::Int64));
    for list in lists {
        for value in list {
            builder.values().append_value(value);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

pub(super) fn double_lists<'a, I: Iterator<Item = f64> + 'a>(
    id: i32,
    lists: impl Iterator<Item = Option<I>>,
) -> ArrayRef {
    let mut builder = ListBuilder::new(Float64Builder::new()).with_field(element(id, DataType::Float64));
    for list in lists {
        let present = list.is_some();
        for value in list.into_iter().flatten() {
            builder.values().append_value(value);
        }
        builder.append(present);
    }
    Arc::new(builder.finish())
}
