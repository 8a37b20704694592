//! Any bytes as a file, at once and in chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_mseed::{ChunkEnd, ScanState, ScanItem, Scanner};

fn line(item: &ScanItem<'_>) -> (u64, u64, String) {
    match item {
        ScanItem::Record { offset, record } => {
            (*offset, record.length() as u64, format!("{} {}", record.source_id(), record.last_sample_ns()))
        }
        ScanItem::ControlHeaders { offset, length } => (*offset, *length, "control headers".to_owned()),
        ScanItem::Problem { offset, length, reason } => (*offset, *length, reason.to_string()),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([low, high], bytes)) = input.split_first_chunk::<2>() else { return };
    let chunk_length = usize::from(u16::from_le_bytes([*low, *high])) + 1;
    let whole: Vec<_> = Scanner::new(bytes).map(|item| line(&item)).collect();
    let mut next = 0;
    for (offset, length, _) in &whole {
        assert_eq!(*offset, next);
        assert!(*length > 0);
        next += length;
    }
    assert_eq!(next, bytes.len() as u64);

    let (mut buffer, mut state, mut found) = (Vec::new(), ScanState::default(), Vec::new());
    let mut chunks = bytes.chunks(chunk_length).peekable();
    while let Some(chunk) = chunks.next() {
        buffer.extend_from_slice(chunk);
        let end = if chunks.peek().is_some() { ChunkEnd::More } else { ChunkEnd::Last };
        let mut scanner = Scanner::resume(&buffer, end, state);
        found.extend(scanner.by_ref().map(|item| line(&item)));
        let consumed = scanner.consumed();
        state = scanner.into_state();
        buffer.drain(..consumed);
    }
    assert_eq!(found, whole);
});
