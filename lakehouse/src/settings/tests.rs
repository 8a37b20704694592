//! Layers, and what is refused.

use seislake_seismo::magnitude::{Attenuation, MagnitudeSettings};
use seislake_seismo::pick::PickSettings;
use seislake_streams::topology::all_stages;

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
    let magnitude: MagnitudeSettings = table.stage("magnitude").unwrap();
    assert_eq!(magnitude.attenuation, Attenuation::Table(vec![(10.0, 1.0), (50.0, 2.0)]));
    let error = merge("[magnitude]\nattenuation = \"nobodys\"", &[]).unwrap_err().to_string();
    assert!(error.contains("magnitude.attenuation: unknown variant"), "{error}");
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
    let of_stages = all_stages();
    let of_stages = of_stages.iter().flat_map(|stage| {
        stage
            .settings
            .ranges
            .iter()
            .map(|(key, least, most)| (format!("{}.{key}", stage.name), *least, *most))
    });
    let general = ranges::RANGES.iter().map(|(name, least, most)| ((*name).to_owned(), *least, *most));
    for (name, least, most) in general.chain(of_stages) {
        let (section, key) = name.split_once('.').unwrap();
        assert!(known[section].get(key).is_some(), "{name}");
        assert!(least < most, "{name}");
    }
}

#[test]
fn a_stage_of_a_users_own_begins_with_the_settings_of_its_kind() {
    let file = "[streams]\nstages = [\"pick\", \"quiet\"]\n[pick]\nwarm_up_s = 7.0\n\
                [stage.quiet]\nkind = \"pick\"\ntrigger_threshold = 6";
    let settings = merge(file, &[("SEISLAKE__STAGE__QUIET", "{ integral_threshold = 5.5 }")]).unwrap();
    let quiet: PickSettings = settings.stage("quiet").unwrap();
    let (warm_up_s, trigger, integral) = (quiet.warm_up_s, quiet.trigger_threshold, quiet.integral_threshold);
    assert_eq!((warm_up_s, trigger, integral), (7.0, 6.0, 5.5));
    let of_key = merge(file, &[("SEISLAKE__STAGE__QUIET__INTEGRAL_THRESHOLD", "5.5")]).unwrap();
    assert_eq!(of_key.sections, settings.sections);
    let ours: PickSettings = settings.stage("pick").unwrap();
    assert_eq!(ours.trigger_threshold, PickSettings::default().trigger_threshold);
    let names: Vec<&str> = settings.topology.stages().iter().map(|stage| stage.name).collect();
    assert_eq!(names, ["pick", "quiet"]);
    // What is shown is a configuration that says the same.
    let shown = settings.to_toml().unwrap();
    let again = merge(&shown, &[]).unwrap();
    assert_eq!(again.sections, settings.sections);
    assert_eq!(again.to_toml().unwrap(), shown);
}

#[test]
fn what_is_wrong_with_a_stage_of_a_users_own_is_told_with_its_key() {
    let file = "[stage.a]\nkind = \"pick\"\ntrigger_threshold = nan\nno_such_key = 1\nwarm_up_s = \"long\"\n\
                [stage.b]\n[stage.c]\nkind = \"phasenet\"\n[stage.D]\nkind = \"pick\"\n[stage.e]\nkind = 1\n\
                [stage.f]\nkind = \"pick\"\ns_window_min_s = 100.0";
    let said = merge(file, &[]).unwrap_err().0.join("\n");
    for part in [
        "stage.a.trigger_threshold must be 0.1 to 1000000, not NaN",
        "unknown key \"stage.a.no_such_key\"",
        "stage.a.warm_up_s must be a float",
        "stage.b: kind is missing",
        "stage.c: there is no kind \"phasenet\"",
        "stage.D: \"D\" is no name of a stage",
        "stage.e: kind must be a string, not an integer",
        "stage.f.s_window_min_s must be below stage.f.s_window_max_s",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // A stage that cannot be made is told once, not for its name in the path as well.
    let said = merge("[streams]\nstages = [\"c\"]\n[stage.c]\nkind = \"phasenet\"", &[]).unwrap_err();
    assert_eq!(said.problems().len(), 1, "{said}");
    let deep = merge("", &[("SEISLAKE__STAGE__A__B__C", "1")]).unwrap_err().to_string();
    assert!(deep.contains("expected SEISLAKE__SECTION__KEY, or SEISLAKE__STAGE__NAME__KEY"), "{deep}");
    let said = merge("[stage]\nquiet = 1", &[]).unwrap_err().to_string();
    assert!(said.contains("\"stage.quiet\" is a section, not a value"), "{said}");
}

#[test]
fn a_stage_that_replaces_ours_is_set_by_its_own_section() {
    let file = "[streams]\nstages = [\"loud\", \"associate\"]\n[stage.loud]\nreplaces = \"pick\"\ntrigger_threshold = 6";
    let settings = merge(file, &[]).unwrap();
    let pick: PickSettings = settings.stage("pick").unwrap();
    assert_eq!(pick.trigger_threshold, 6.0);
    let names: Vec<&str> = settings.topology.stages().iter().map(|stage| stage.log_name).collect();
    assert_eq!(names, ["pick", "associate"]);
    // One that does not run changes nothing of ours.
    let beside = merge("[stage.loud]\nreplaces = \"pick\"\ntrigger_threshold = 6", &[]).unwrap();
    assert_eq!(beside.stage::<PickSettings>("pick").unwrap(), PickSettings::default());
}

#[test]
fn unknown_keys_of_the_science_sections_are_errors_too() {
    assert!(merge("[locate]\nno_such_key = 1", &[]).is_err());
}

#[test]
fn an_unknown_name_is_told_with_the_one_that_is_near() {
    let file = "[http]\nadress = \"127.0.0.1:1\"\nno_such_key = 1\n[htp]\nx = 1\n\
                [stage.a]\nkind = \"pick\"\nwarm_up = 1.0\ninputs = \"x\"";
    let mut said = merge(file, &[]).unwrap_err().0;
    said.sort();
    let expected = [
        "test.toml: unknown key \"http.adress\"; did you mean \"address\"?",
        "test.toml: unknown key \"http.no_such_key\"",
        "test.toml: unknown section \"htp\"; did you mean \"http\"?",
        "unknown key \"stage.a.inputs\"; did you mean \"input\"?",
        "unknown key \"stage.a.warm_up\"; did you mean \"warm_up_s\"?",
    ];
    assert_eq!(said, expected);
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
