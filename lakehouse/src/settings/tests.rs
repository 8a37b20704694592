//! Layers, and what is refused.

use super::*;

fn merge(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::merge(Some(("test.toml".into(), file.into())), environment)
}

#[test]
fn environment_wins_over_the_file_and_the_file_over_defaults() {
    let settings = merge(
        "[http]\nbody_bytes = 1000\nconcurrency = 7\n[lake]\ncommit_interval_s = 5",
        &[("SEISLAKE__HTTP__CONCURRENCY", "9"), ("SEISLAKE__VELOCITY_MODEL__NAME", "ak135")],
    )
    .unwrap();
    assert_eq!((settings.http.body_bytes, settings.http.concurrency), (1000, 9));
    assert_eq!(settings.lake.commit_interval_s, 5.0);
    assert_eq!(settings.velocity_model.name, "ak135");
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_key() {
    let error = merge(
        "[http]\nbody_bites = 1\n[lake]\ncommit_interval_s = \"soon\"\n[attic]\nx = 1",
        &[("SEISLAKE__QUERY__MEMORY", "1")],
    )
    .unwrap_err()
    .to_string();
    for part in ["http.body_bites", "lake.commit_interval_s must be a float", "\"attic\"", "query.memory"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn settings_of_the_science_have_types_and_ranges() {
    let error = merge(
        "[pick]\ns_window_min_s = 30\n[associate]\nevidence_min = nan\ntolerance_s = -1\npicks_min = -3\n\
         margin_km = \"wide\"\nno_such_key = 1\n[locate]\ndepth_km_max = inf\n[magnitude]\nsnr_min = -0.5\n\
         attenuation = \"iaspei\"\n[streams]\nraw_partition_count = 0",
        &[("SEISLAKE__LOCATE__SEARCH_COUNT", "0")],
    )
    .unwrap_err();
    let mut said = error.0;
    said.sort();
    let expected = [
        "associate.evidence_min must be 0 or more, not NaN",
        "associate.picks_min must be 1 to 1000000, not -3",
        "associate.tolerance_s must be 0.001 to 60, not -1",
        "locate.depth_km_max must be 0 to 800, not inf",
        "locate.search_count must be 100 to 10000000, not 0",
        "magnitude.snr_min must be 0 or more, not -0.5",
        "pick.s_window_min_s must be below pick.s_window_max_s",
        "streams.raw_partition_count must be 1 to 256, not 0",
        "test.toml: associate.margin_km must be a float",
        "test.toml: unknown key \"associate.no_such_key\"",
    ];
    assert_eq!(said, expected);
    let error = merge("[pick]\ns_window_min_s = 30", &[]).unwrap_err();
    assert_eq!(error.0, ["pick.s_window_min_s must be below pick.s_window_max_s"]);
    let tables = ["[[10.0, 1.0], [5.0, 2.0]]", "[[10.0, nan], [20.0, 2.0]]", "[]"];
    for table in tables {
        let error = merge(&format!("[magnitude]\nattenuation = {{ table = {table} }}"), &[]).unwrap_err();
        assert!(error.to_string().contains("magnitude.attenuation"), "{error}");
    }
    let table = merge("[magnitude]\nattenuation = { table = [[10.0, 1.0], [50.0, 2.0]] }", &[]).unwrap();
    assert_eq!(table.magnitude.attenuation, Attenuation::Table(vec![(10.0, 1.0), (50.0, 2.0)]));
}

#[test]
fn names_that_nothing_bears_are_refused() {
    let text = "[event]\nagency_id = \" A\"\npreferred_agencies = [\"\", \"B\", \"b\"]\npreferred_magnitudes = [\"ml \"]";
    let said = merge(text, &[]).unwrap_err().0.join("\n");
    for part in [
        "event.agency_id must be a word",
        "event.preferred_agencies: \"\" is no name",
        "event.preferred_agencies: \"b\" stands there twice",
        "event.preferred_magnitudes: \"ml \" is no name",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = merge("[event]\nagency_id = \"USGS, Golden\"", &[]).unwrap_err().0.join("\n");
    assert!(said.contains("without commas"), "the parameter `contributor` is a list: {said}");
    assert!(
        merge("[event]\nagency_id = \"Ours of Here\"\npreferred_magnitudes = [\"ml\", \"Mw\"]", &[]).is_ok()
    );
}

#[test]
fn every_range_belongs_to_a_key() {
    let known = defaults().unwrap();
    for (name, least, most) in ranges::RANGES {
        let (section, key) = name.split_once('.').unwrap();
        assert!(known[section].get(key).is_some(), "{name}");
        assert!(least < most, "{name}");
    }
}

#[test]
fn unknown_keys_of_the_science_sections_are_errors_too() {
    assert!(merge("[locate]\nno_such_key = 1", &[]).is_err());
}

#[test]
fn defaults_are_valid() {
    assert!(merge("", &[]).is_ok());
}

#[test]
fn an_endpoint_without_tls_must_be_allowed() {
    let endpoint = "[lake]\ns3_endpoint = \"http://store:9000\"\n";
    let error = merge(endpoint, &[]).unwrap_err().to_string();
    assert!(error.contains("lake.s3_allow_http"), "{error}");
    assert!(merge(&format!("{endpoint}s3_allow_http = true"), &[]).is_ok());
}
