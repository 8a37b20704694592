//! Text records (log channels): where they are kept. They hold no samples and so have no row in `waveform.segments`;
//! what they say is read from the original records.

use bytes::Bytes;
use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt};
use seislake_model::{Inventory, SourceId, Timestamp};
use seislake_mseed::{FormatVersion, PackError, PackSettings, Quality, Record, pack_text};
use seislake_tables::packets::names;
use seislake_tables::{listed, packets};

use super::RecordFormat;
use crate::error::{ApiError, ErrorCode};
use crate::read::{
    Conditions, FromRow, Interval, Restrictions, Row, Selection, add_conditions, query_failure, read,
    windows_of,
};

const WHAT: &str = "the index of text records";

/// A text record, and where its original is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRecord {
    /// Channel.
    pub source_id: SourceId,
    /// Topic of its record: a home that was filled in shares has several.
    pub topic: String,
    /// Partition of the topic.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// Where the original is stored in the warehouse, if it is kept there.
    pub object_uri: Option<String>,
}

impl FromRow for TextRecord {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let damaged = |_| {
            ApiError::new(
                ErrorCode::Corrupt,
                format!("column \"{}\" of {} is damaged", names::offset, packets::TABLE),
            )
        };
        Ok(Self {
            source_id: row.source_id(names::source_id)?,
            topic: row.text(names::topic)?.to_owned(),
            partition: row.count(names::partition)?,
            offset: u64::try_from(row.integer(names::offset)?).map_err(damaged)?,
            object_uri: row.optional_text(names::object_uri)?.map(str::to_owned),
        })
    }
}

/// The text records that start in an interval (start included, end not; open-ended where `None`) of the channels that
/// `source` names, as in [`super::records`]: by channel and time, those of one time as they came.
///
/// # Errors
/// Where `source` is no source; those of the session.
pub async fn text_records(
    context: &SessionContext,
    source: Option<&str>,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
) -> Result<impl Stream<Item = Result<Vec<TextRecord>, ApiError>> + Send + 'static, ApiError> {
    let mut conditions = Conditions::default();
    let selection = Selection::of_source(source, Interval { min: None, max: None })?;
    add_conditions(std::slice::from_ref(&selection), &mut conditions);
    conditions.add(format!("{} = 'text'", names::encoding));
    if let Some(from) = from {
        conditions.add(format!("{} >= {}", names::start_ns, from.nanos()));
    }
    if let Some(to) = to {
        conditions.add(format!("{} < {}", names::start_ns, to.nanos()));
    }
    let sql = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {}",
        listed(&[names::source_id, names::topic, names::partition, names::offset, names::object_uri]),
        packets::TABLE,
        conditions.joined(),
        listed(&ORDER),
    );
    let batches = conditions.stream(context, WHAT, &sql).await?;
    Ok(batches.map(move |batch| {
        let batch = batch.map_err(|error| query_failure(WHAT, &error))?;
        let mut rows: Vec<TextRecord> = read(std::slice::from_ref(&batch))?;
        rows.retain(|row| selection.takes(&row.source_id));
        Ok(rows)
    }))
}

/// By channel and time; those of one time as they came.
const ORDER: [&str; 5] = [names::source_id, names::start_ns, names::topic, names::partition, names::offset];

/// Text records in one answer: a log channel writes some thousand a day.
const TEXTS_MAX: usize = 100_000;

/// A text record and what chooses it.
struct Chosen {
    record: TextRecord,
    start: Timestamp,
    quality: String,
}

impl FromRow for Chosen {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let (start, quality) = (row.nanos(names::start_ns)?, row.text(names::quality)?.to_owned());
        Ok(Self { record: TextRecord::from_row(row)?, start, quality })
    }
}

/// The text records that begin in what is selected, by channel and time; `quality`: of this letter only. Those that
/// `withholding` says are closed are left out.
pub(crate) async fn selected_texts(
    context: &SessionContext,
    selections: &[Selection],
    quality: Option<char>,
    withholding: Option<&Inventory>,
) -> Result<Vec<TextRecord>, ApiError> {
    let anytime: Vec<Selection> = selections
        .iter()
        .map(|selection| Selection { window: Interval { min: None, max: None }, ..selection.clone() })
        .collect();
    let mut conditions = Conditions::default();
    add_conditions(&anytime, &mut conditions);
    conditions.add(format!("{} = 'text'", names::encoding));
    let bound = |bound: fn(&Interval<Timestamp>) -> Option<Timestamp>| {
        selections.iter().map(|selection| bound(&selection.window)).collect::<Option<Vec<_>>>()
    };
    if let Some(from) = bound(|window| window.min).and_then(|bounds| bounds.into_iter().min()) {
        conditions.add(format!("{} >= {}", names::start_ns, from.nanos()));
    }
    if let Some(to) = bound(|window| window.max).and_then(|bounds| bounds.into_iter().max()) {
        conditions.add(format!("{} <= {}", names::start_ns, to.nanos()));
    }
    let sql = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {}",
        listed(&[
            names::source_id,
            names::start_ns,
            names::quality,
            names::topic,
            names::partition,
            names::offset,
            names::object_uri,
        ]),
        packets::TABLE,
        conditions.joined(),
        listed(&ORDER),
        TEXTS_MAX + 1,
    );
    let mut chosen: Vec<Chosen> = read(&conditions.run(context, WHAT, &sql).await?)?;
    if chosen.len() > TEXTS_MAX {
        let message =
            format!("more than {TEXTS_MAX} text records match; at most that many are given at once");
        let error = ApiError::new(ErrorCode::PageTooLarge, message);
        return Err(error.hint("ask for fewer channels or a shorter window"));
    }
    let ids: std::collections::BTreeSet<SourceId> =
        chosen.iter().map(|text| text.record.source_id.clone()).collect();
    let restrictions =
        withholding.map(|inventory| Restrictions::of(inventory, ids.iter())).unwrap_or_default();
    chosen.retain(|text| {
        let id = &text.record.source_id;
        let letter = text.quality.parse().map_or('D', Quality::letter);
        let windows = restrictions.open(id, windows_of(selections, id));
        let within = windows.iter().any(|(from, to)| (*from..=*to).contains(&text.start));
        within && quality.is_none_or(|wanted| wanted == letter)
    });
    Ok(chosen.into_iter().map(|text| text.record).collect())
}

/// A text record in the generation asked for; one whose codes miniSEED 2 cannot hold stays miniSEED 3.
///
/// # Errors
/// `CORRUPT` where it is no record, or cannot be packed anew.
pub fn text_in_format(original: &Bytes, format: RecordFormat) -> Result<Vec<Bytes>, ApiError> {
    let damaged = |what: &str, error: &dyn std::fmt::Display| {
        ApiError::new(ErrorCode::Corrupt, format!("{what}: {error}"))
    };
    let record = Record::parse(original).map_err(|error| damaged("an original record is damaged", &error))?;
    let format_version = match format {
        RecordFormat::MiniSeed2 => FormatVersion::Two,
        RecordFormat::MiniSeed3 => FormatVersion::Three,
    };
    let Some(text) = record.text().filter(|_| record.format_version != format_version) else {
        return Ok(vec![original.clone()]);
    };
    let settings = PackSettings {
        format_version,
        quality: record.quality,
        timing_quality: record.timing_quality,
        sequence_number: record.sequence_number().unwrap_or(1),
        ..PackSettings::new(record.source_id(), record.start_ns, 1.0)
    };
    match pack_text(&settings, text) {
        Ok(records) => Ok(records.into_iter().map(Bytes::from).collect()),
        Err(PackError::SourceId(_)) => Ok(vec![original.clone()]),
        Err(error) => Err(damaged("a text record cannot be packed", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_header_in_the_other_generation_and_long_codes_stay_miniseed_3() {
        let text = "clock réglée\r\n".repeat(60);
        let packed = |source_id: &str, format_version, record_length| {
            let settings = PackSettings {
                format_version,
                record_length,
                timing_quality: Some(77),
                ..PackSettings::new(source_id, 1_700_000_000_000_000_000, 1.0)
            };
            let mut records = pack_text(&settings, text.as_bytes()).unwrap();
            assert_eq!(records.len(), 1);
            Bytes::from(records.remove(0))
        };
        let id = "FDSN:XX_TEST__L_O_G";
        let two = packed(id, FormatVersion::Two, 4096);
        assert_eq!(text_in_format(&two, RecordFormat::MiniSeed2).unwrap(), std::slice::from_ref(&two));
        let three = text_in_format(&two, RecordFormat::MiniSeed3).unwrap();
        let mut found = Vec::new();
        for bytes in &three {
            let record = Record::parse(bytes).unwrap();
            assert_eq!((record.format_version, record.source_id()), (FormatVersion::Three, id));
            assert_eq!(record.start_ns, 1_700_000_000_000_000_000);
            assert_eq!((record.timing_quality, record.quality.publication_version()), (Some(77), 2));
            found.extend_from_slice(record.text().unwrap());
        }
        assert!(three.len() > 1 && found == text.as_bytes());
        let long = packed("FDSN:XX_STATION9__L_O_G", FormatVersion::Three, 4096);
        assert_eq!(text_in_format(&long, RecordFormat::MiniSeed2).unwrap(), std::slice::from_ref(&long));
    }
}
