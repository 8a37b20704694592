//! Stages of a configuration's own, through the binary.

use crate::seislake::{assert_same_tables, fail, query, row_count, succeed, synthetic_archive, tables, text};

const BESIDE: &str = "[streams]\nstages = [\"pick\", \"associate\", \"locate\", \"magnitude\", \"event\", \"strict\"]\n\
                      [stage.strict]\nkind = \"pick\"\np_snr_min = 30\n";
const STRICT: &str = "SELECT source_id, pick_time, phase FROM strict.picks ORDER BY 1, 2, 3";
const OURS: &str = "SELECT source_id, pick_time, phase FROM bulletin.picks ORDER BY 1, 2, 3";

#[test]
fn a_stage_beside_ours_fills_its_own_table_and_changes_none_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 4);
    let home = |name: &str, configuration: &str| {
        let config = folder.path().join(format!("{name}.toml"));
        std::fs::write(&config, configuration).unwrap();
        let home = folder.path().join(name);
        let import =
            ["import", "--home", text(&home), "--config", text(&config), "--stations", text(&stations)];
        succeed(&[&import[..], &["--", text(&records)]].concat());
        (home, config)
    };
    let (plain, _) = home("plain", "");
    let (beside, config) = home("beside", BESIDE);
    assert_same_tables(&tables(&plain), &tables(&beside));
    let strict = query(&beside, STRICT);
    let all = row_count(&query(&plain, OURS));
    assert!(row_count(&strict) > 0 && row_count(&strict) < all, "{} of {all}", row_count(&strict));

    // Kept in shape, checked and imported again as ours are.
    let (home_of, config_of) = (text(&beside), text(&config));
    let beside_arguments = ["--home", home_of, "--config", config_of];
    let table = ["--table", "strict.picks", "--json"];
    let compacted = succeed(&[&["maintain", "compact"][..], &beside_arguments, &table].concat());
    assert!(compacted.contains("strict.picks"), "{compacted}");
    succeed(&[&["home", "check"][..], &beside_arguments].concat());
    succeed(&[&["import"][..], &beside_arguments, &["--", text(&records)]].concat());
    assert!(query(&beside, STRICT) == strict, "nothing comes twice");
    // Without its configuration the table is still there to read, to be kept in shape and to be mended.
    succeed(&["home", "check", "--home", home_of]);
    let compacted = succeed(&["maintain", "compact", "--home", home_of, "--json"]);
    assert!(compacted.contains("strict.picks"), "{compacted}");
    for file in data_files(&beside.join("warehouse/strict")) {
        std::fs::remove_file(file).unwrap();
    }
    fail(&["home", "check", "--home", home_of]);
    succeed(&["home", "repair", "--home", home_of]);
    succeed(&["home", "check", "--home", home_of]);
    assert!(query(&beside, STRICT) == strict, "all is there again, by what the log holds");
    // A lost catalog is made again with it.
    std::fs::remove_file(beside.join("catalog.sqlite")).unwrap();
    succeed(&["home", "repair", "--home", home_of]);
    assert!(query(&beside, STRICT) == strict, "all is there again");
    assert_same_tables(&tables(&plain), &tables(&beside));
}

fn data_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let inside = |path: std::path::PathBuf| if path.is_dir() { data_files(&path) } else { vec![path] };
    entries.flat_map(inside).filter(|path| path.extension().is_some_and(|end| end == "parquet")).collect()
}

#[test]
fn a_stage_that_nothing_feeds_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("seislake.toml");
    let text_of =
        "[streams]\nstages = [\"far\"]\n[stage.far]\nkind = \"associate\"\ninput = \"near.phase_picks\"\n";
    std::fs::write(&config, text_of).unwrap();
    let said = fail(&["config", "check", "--config", text(&config)]);
    assert!(said.contains("reads the topic \"near.phase_picks\", which no stage before it fills"), "{said}");
}

const LOUD: &str = "[streams]\nstages = [\"loud\", \"associate\", \"locate\", \"magnitude\", \"event\"]\n\
                    [stage.loud]\nreplaces = \"pick\"\n";

#[test]
fn a_stage_in_the_place_of_ours_goes_on_where_the_other_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 4);
    let config = folder.path().join("loud.toml");
    std::fs::write(&config, LOUD).unwrap();
    let home = |name: &str| folder.path().join(name);
    let mut files: Vec<_> = std::fs::read_dir(&records).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (first, second) = files.split_at(files.len() / 2);
    let import = |home: &std::path::Path, files: &[std::path::PathBuf], arguments: &[&str]| {
        let begin = ["import", "--home", text(home), "--stations", text(&stations)];
        let files = files.iter().map(|file| text(file)).collect::<Vec<_>>();
        succeed(&[&begin[..], arguments, &["--"], &files].concat())
    };
    let loud = ["--config", text(&config)];
    let (plain, replaced, alone) = (home("plain"), home("replaced"), home("alone"));
    for (home, arguments) in [(&plain, [&[][..], &[]]), (&replaced, [&[], &loud]), (&alone, [&loud, &loud])] {
        import(home, first, arguments[0]);
        let told = import(home, second, arguments[1]);
        assert!(!told.contains("leaves out"), "{told}");
        assert!(told.contains("channels were recorded at a time that an earlier import ended"), "{told}");
        // Nothing new comes of what is there, whoever picks.
        import(home, &files, &loud);
    }
    assert!(!tables(&plain)[0].1.is_empty());
    assert_same_tables(&tables(&plain), &tables(&replaced));
    assert_same_tables(&tables(&plain), &tables(&alone));
    succeed(&["home", "check", "--home", text(&alone), "--config", text(&config)]);
    succeed(&["home", "check", "--home", text(&alone)]);
}

#[test]
fn a_path_of_ones_own_finds_events_of_its_own() {
    const PATH: &str = "[streams]\nstages = [\"far\", \"far_associate\", \"far_locate\", \"far_magnitude\", \"far_event\"]\n\
        [stage.far]\nkind = \"pick\"\n[stage.far_associate]\nkind = \"associate\"\ninput = \"far.phase_picks\"\n\
        [stage.far_locate]\nkind = \"locate\"\ninput = \"far_associate.associations\"\n\
        [stage.far_magnitude]\nkind = \"magnitude\"\ninput = \"far_locate.proposals\"\n\
        [stage.far_event]\nkind = \"event\"\ninput = \"far_locate.proposals\"\n";
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 4);
    let (plain, far) = (folder.path().join("plain"), folder.path().join("far"));
    let config = folder.path().join("far.toml");
    std::fs::write(&config, PATH).unwrap();
    let import = |home: &std::path::Path, arguments: &[&str]| {
        let first = ["import", "--home", text(home), "--stations", text(&stations)];
        succeed(&[&first[..], arguments, &["--", text(&records)]].concat())
    };
    import(&plain, &[]);
    import(&far, &["--config", text(&config)]);
    let events = |home, table: &str| {
        query(
            home,
            &format!("SELECT origin_time, latitude, longitude, magnitude FROM {table} ORDER BY 1, 2, 3, 4"),
        )
    };
    let found = events(&far, "far_event.events");
    assert!(row_count(&found) > 0, "{found}");
    assert_eq!(found, events(&plain, "bulletin.events"));
    assert_eq!(events(&far, "far_event.events_current"), events(&plain, "bulletin.events_current"));
    assert_eq!(row_count(&events(&far, "bulletin.events")), 0);
}
