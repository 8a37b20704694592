//! Exactly once, whatever happens around it.

use seislake_model::{ErrorKind, Offsets, Samples};

use super::*;
use crate::tables::IcebergTable;

#[tokio::test]
async fn rows_and_offsets_become_visible_together() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let mut sink = lake.sink("bulletin.picks").await.unwrap();
    assert_eq!(sink.committed().await.unwrap(), Offsets::default());
    sink.write(table_rows(picks(0..5000))).await.unwrap();
    assert_eq!(count(&lake, "picks").await, 0);
    let snapshot = sink.commit(&covered(0, 10)).await.unwrap();
    assert!(snapshot.is_some());
    assert_eq!(count(&lake, "picks").await, 5000);
    assert_eq!(sink.committed().await.unwrap(), covered(0, 10));
    let reopened = super::lake(home.path()).await;
    assert_eq!(reopened.sink("bulletin.picks").await.unwrap().committed().await.unwrap(), covered(0, 10));
    assert_eq!(count(&reopened, "picks").await, 5000);
}

#[tokio::test]
async fn a_commit_repeated_by_a_second_sink_adds_nothing() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let (mut one, mut two) =
        (lake.sink("waveform.packets").await.unwrap(), lake.sink("waveform.packets").await.unwrap());
    for sink in [&mut one, &mut two] {
        sink.write(table_rows((0..8).map(packet).collect())).await.unwrap();
    }
    let first = one.commit(&covered(0, 8)).await.unwrap();
    let files = parquet_files(home.path());
    assert_eq!(two.commit(&covered(0, 8)).await.unwrap(), first);
    one.write(table_rows((0..8).map(packet).collect())).await.unwrap();
    assert_eq!(one.commit(&covered(0, 8)).await.unwrap(), first, "nor does the same sink");
    assert_eq!(count(&lake, "waveform.packets").await, 8);
    assert_eq!(parquet_files(home.path()), files, "the files of the dropped rows are gone");
    assert_eq!(lake.metrics().snapshot_count, 1);
}

#[tokio::test]
async fn a_sink_whose_offsets_a_rival_moved_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let mut slow = lake.sink("waveform.packets").await.unwrap();
    slow.write(table_rows((0..8).map(packet).collect())).await.unwrap();
    append(&lake, table_rows((0..4).map(packet).collect()), &covered(0, 4)).await;
    let error = slow.commit(&covered(0, 8)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    assert_eq!(slow.committed().await.unwrap(), covered(0, 4));
    slow.write(table_rows((4..8).map(packet).collect())).await.unwrap();
    slow.commit(&covered(0, 8)).await.unwrap();
    assert_eq!(count(&lake, "waveform.packets").await, 8);
}

#[tokio::test]
async fn a_process_that_dies_before_the_commit_leaves_files_but_no_rows() {
    let home = tempfile::tempdir().unwrap();
    let mut small = settings(home.path());
    small.write.sink_bytes_max = 1;
    let first = Lake::open(small).await.unwrap();
    let mut sink = first.sink("waveform.packets").await.unwrap();
    for _ in 0..2 {
        sink.write(table_rows((0..8).map(packet).collect())).await.unwrap();
    }
    assert!(parquet_files(home.path()) > 0, "rows were spilled");
    drop(sink);
    assert_eq!(first.metrics().buffered_bytes, 0);
    drop(first);

    let second = lake(home.path()).await;
    let sink = second.sink("waveform.packets").await.unwrap();
    assert_eq!(sink.committed().await.unwrap(), Offsets::default());
    assert_eq!(count(&second, "waveform.packets").await, 0);
    append(&second, table_rows((0..8).map(packet).collect()), &covered(0, 8)).await;
    assert_eq!(count(&second, "waveform.packets").await, 8);
}

#[tokio::test]
async fn a_commit_without_rows_moves_the_offsets_without_a_snapshot() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let mut sink = lake.sink("stream.dead_letters").await.unwrap();
    assert_eq!(sink.commit(&covered(3, 7)).await.unwrap(), None);
    assert_eq!(sink.committed().await.unwrap(), covered(3, 7));
    sink.write(table_rows(vec![dead_letter(8)])).await.unwrap();
    let snapshot = sink.commit(&covered(3, 9)).await.unwrap();
    assert!(snapshot.is_some());
    assert_eq!(sink.commit(&covered(3, 12)).await.unwrap(), snapshot);
    assert_eq!(lake.metrics().snapshot_count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_committers_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    // Two lakes on one home race like two processes.
    let lakes = [lake(home.path()).await, lake(home.path()).await];
    let mut tasks = tokio::task::JoinSet::new();
    for partition in 0..4_u32 {
        let lake = lakes[partition as usize % 2].clone();
        tasks.spawn(async move {
            let mut sink = lake.sink("stream.dead_letters").await.unwrap();
            for next in 1..=10 {
                sink.write(table_rows(vec![dead_letter(next)])).await.unwrap();
                sink.commit(&covered(partition, next)).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(count(&lakes[0], "stream.dead_letters").await, 40);
    let sink = lakes[1].sink("stream.dead_letters").await.unwrap();
    let offsets = sink.committed().await.unwrap();
    assert!((0..4).all(|partition| offsets.get(TOPIC, partition) == 10), "{offsets:?}");
}

#[tokio::test]
async fn manifests_are_merged_and_old_snapshots_and_metadata_files_go() {
    let home = tempfile::tempdir().unwrap();
    let mut frugal = settings(home.path());
    frugal.write.manifests_max = 5;
    frugal.retention.snapshots_kept = 4;
    frugal.retention.metadata_files_kept = 3;
    let lake = Lake::open(frugal).await.unwrap();
    let mut sink = lake.sink("stream.dead_letters").await.unwrap();
    for next in 1..=23 {
        sink.write(table_rows(vec![dead_letter(next)])).await.unwrap();
        sink.commit(&covered(0, next)).await.unwrap();
    }
    assert_eq!(count(&lake, "stream.dead_letters").await, 23);
    let table = lake.load(&seislake_tables::table_def("stream.dead_letters").unwrap().ident()).await.unwrap();
    let snapshot = table.metadata().current_snapshot().unwrap();
    assert_eq!(snapshot.summary().additional_properties["total-records"], "23");
    let manifests = table.manifest_list_reader(snapshot).load().await.unwrap();
    assert!(manifests.entries().len() <= 5, "{}", manifests.entries().len());
    assert!(table.metadata().snapshots().len() <= 6, "four, and perhaps the last of the hour before");
    let folder = home.path().join("warehouse/stream/dead_letters/metadata");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let metadata_files =
        files.filter(|file| file.path().extension().is_some_and(|end| end == "json")).count();
    assert_eq!(metadata_files, 4, "the current one and three before");
}

#[tokio::test]
async fn samples_of_every_encoding_come_back() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let counts: Vec<i32> = (0..5000).map(|index| (index * index) % 1000 - 500).collect();
    let segments = vec![
        segment(0, Samples::Int32(counts)),
        segment(1, Samples::Float32(vec![0.1, -2.5])),
        segment(2, Samples::Float64(vec![0.1, f64::MAX])),
        segment(3, Samples::Int32(vec![i32::MIN, i32::MAX])),
    ];
    append(&lake, table_rows(segments), &covered(0, 4)).await;
    let context = session(&lake);
    let sql = "SELECT offset, sample_count, array_length(samples), samples[2], samples_float[1], samples_float[2] \
               FROM waveform.segments";
    let rows = rows_of(&context, sql).await;
    assert_eq!(rows.len(), 5, "{rows:#?}");
    for (offset, row) in rows[1..].iter().enumerate() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[1], offset.to_string());
    }
    assert!(rows[1].contains("|5000|") && rows[1].contains("-499"), "{rows:#?}");
    assert!(rows[2].contains("0.10000000149011612") && rows[2].contains("-2.5"), "{rows:#?}");
    assert!(rows[3].contains("1.7976931348623157e308"), "{rows:#?}");
    assert!(rows[4].contains("2147483647"), "{rows:#?}");
}

#[tokio::test]
async fn rows_of_a_commit_that_failed_come_with_the_next_one() {
    for folder in ["data", "metadata"] {
        let home = tempfile::tempdir().unwrap();
        let lake = lake(home.path()).await;
        append(&lake, table_rows((0..4).map(packet).collect()), &covered(0, 4)).await;
        let mut sink = lake.sink("waveform.packets").await.unwrap();
        sink.write(table_rows((4..8).map(packet).collect())).await.unwrap();
        // A file where the folder was: nothing can be written below it.
        let place = home.path().join("warehouse/waveform/packets").join(folder);
        let aside = place.with_extension("aside");
        std::fs::rename(&place, &aside).unwrap();
        std::fs::write(&place, "").unwrap();
        for _ in 0..2 {
            let error = sink.commit(&covered(0, 8)).await.unwrap_err();
            assert_ne!(error.kind, ErrorKind::Conflict, "{folder}: {error}");
        }
        sink.write(table_rows((8..10).map(packet).collect())).await.unwrap();
        std::fs::remove_file(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
        sink.commit(&covered(0, 10)).await.unwrap();
        assert_eq!(sink.committed().await.unwrap(), covered(0, 10));
        assert_eq!(count(&lake, "waveform.packets").await, 10, "{folder}");
        drop(sink);
        assert_eq!(lake.metrics().buffered_bytes, 0);
    }
}
