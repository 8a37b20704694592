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
    // Without its configuration the table is still there to read.
    succeed(&["home", "check", "--home", home_of]);
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
