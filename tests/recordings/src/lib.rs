//! Where the recordings are that tests compare with: `SEISLAKE_TEST_DATA`, else `../shared/data` beside this repository.
//!
//! They are not part of the repository. Where they are missing a test says so and ends; with `CI=true` it fails, so that
//! no run that counts passes without them. The tests in Python keep the same rule (`tests/failures/harness.py`).

use std::path::{Path, PathBuf};

/// The folder of recordings, or `None` after saying that the test is skipped.
///
/// # Panics
///
/// Where there is no such folder and `CI` is `true`.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("SEISLAKE_TEST_DATA").map_or(usual, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let told = format!("no recordings at \"{}\" (set SEISLAKE_TEST_DATA)", folder.display());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{told}");
    eprintln!("skipped: {told}");
    None
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::folder;

    /// What the test below does with this environment: the finder looks at nothing else.
    fn run(environment: &[(&str, &str)]) -> (bool, String) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "tests::recordings_are_there_or_told_to_be_missing", "--nocapture"]);
        command.env_remove("CI").env_remove("SEISLAKE_TEST_DATA").envs(environment.iter().copied());
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    #[test]
    fn recordings_are_there_or_told_to_be_missing() {
        if let Some(folder) = folder() {
            eprintln!("found: {}", folder.display());
        }
    }

    #[test]
    fn missing_recordings_skip_a_test_and_fail_it_where_it_counts() {
        let missing = ("SEISLAKE_TEST_DATA", "/no/recordings/here");
        let (passed, told) = run(&[missing]);
        assert!(passed && told.contains("skipped: no recordings at \"/no/recordings/here\""), "{told}");
        let (passed, told) = run(&[missing, ("CI", "true")]);
        assert!(!passed && told.contains("no recordings at \"/no/recordings/here\""), "{told}");
    }

    #[test]
    fn recordings_are_found_where_the_environment_says() {
        let here = env!("CARGO_MANIFEST_DIR");
        for ci in [&[][..], &[("CI", "true")]] {
            let (passed, told) = run(&[ci, &[("SEISLAKE_TEST_DATA", here)]].concat());
            assert!(passed && told.contains(&format!("found: {here}")), "{told}");
        }
    }
}
