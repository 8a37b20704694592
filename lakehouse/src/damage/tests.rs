//! Files that stay until others take their places, and topics that only a configuration names.

use super::*;

#[test]
fn a_damaged_purpose_stays_until_the_new_one_takes_its_place() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path();
    let (file, new) = (path.join(PURPOSE_FILE), path.join("purpose.json.new"));
    std::fs::create_dir_all(path.join("shards/1-of-1")).unwrap();
    std::fs::write(&file, "{whole").unwrap();
    // The new one cannot be written.
    std::fs::create_dir(&new).unwrap();
    let mut keep = |_: &Finding| Ok(());
    let mut told = FindingList::new(&mut keep);
    assert!(small_files(path, Action::Repair, &mut told).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{whole");
    std::fs::remove_dir(&new).unwrap();
    small_files(path, Action::Repair, &mut told).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"archive":{"shards":1}}"#);
    assert_eq!(told.findings.len(), 2, "told before each try");
}

#[tokio::test]
async fn the_lost_topic_of_a_stage_of_the_configuration_is_told_of() {
    let home = tempfile::tempdir().unwrap();
    let log = topic::Log::open(home.path(), topic::LogSettings::default());
    let (key, value) = (bytes::Bytes::from_static(b"key"), bytes::Bytes::from_static(b"value"));
    let record = topic::NewRecord { key, value, arrival_time: None };
    log.topic(WAVEFORMS_RAW, 1).unwrap().append(0, vec![record]).await.unwrap();
    for name in ["waveforms.raw.dlq", "strict.phase_picks.dlq"] {
        log.topic(name, 1).unwrap();
    }
    let file = home.path().join("own.toml");
    std::fs::write(&file, "[stage.strict]\nkind = \"pick\"\n").unwrap();
    let told_with = |settings: &Settings| {
        let mut keep = |_: &Finding| Ok(());
        let mut told = FindingList::new(&mut keep);
        let place = Place::of(home.path().to_owned(), home.path());
        let (state, none) = (StateFound::default(), Offsets::default());
        place.log(state, &none, settings, Action::Check, &mut told).unwrap();
        told.findings
    };
    assert_eq!(told_with(&Settings::load(None).unwrap()), []);
    let told = told_with(&Settings::load(Some(&file)).unwrap());
    assert!(matches!(&told[..], [lost] if lost.object.ends_with("/log/strict.phase_picks")), "{told:?}");
}
