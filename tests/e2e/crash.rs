//! `kill -9` at any moment of an import loses nothing and doubles nothing.

use std::time::{Duration, Instant};

use crate::seislake::{assert_same_tables, spawn, succeed, synthetic_archive, tables, text};

const KILL_COUNT: u32 = 10;

#[test]
fn killed_imports_end_in_the_tables_of_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 4);
    let (calm, killed) = (folder.path().join("calm"), folder.path().join("killed"));
    let arguments = |home| {
        ["import", "--home", text(home), "--stations", text(&stations), "--", text(&records)]
            .map(str::to_owned)
    };

    let begin = Instant::now();
    let calm_arguments = arguments(&calm);
    succeed(&calm_arguments.each_ref().map(String::as_str));
    let undisturbed = begin.elapsed();

    let killed_arguments = arguments(&killed);
    for kill in 1..=KILL_COUNT {
        let mut import = spawn(&killed_arguments.each_ref().map(String::as_str));
        // Moments spread over the whole run, from a fixed irregular sequence.
        let share = f64::from(kill * 37 % 101) / 101.0;
        let limit = undisturbed.mul_f64(share).max(Duration::from_millis(20));
        let begin = Instant::now();
        while begin.elapsed() < limit && import.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = import.kill();
        import.wait().unwrap();
    }
    succeed(&killed_arguments.each_ref().map(String::as_str));
    assert_same_tables(&tables(&calm), &tables(&killed));
}
