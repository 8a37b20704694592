//! `kill -9` at any moment of an import loses nothing and doubles nothing. (Kills of a live server: `tests/crash/run`.)

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::seislake::{assert_same_tables, spawn, succeed, synthetic_archive, tables, text};

const KILL_COUNT: u32 = 10;
const SIGKILL: i32 = 9;
/// Kills that came too late, for each that must hit.
const MISSES_MAX: u32 = 8;

/// Kills the import of `arguments` so often, each time while it lives and has begun to work in `home`: later and later
/// within the time that it takes, from a fixed irregular sequence, the first as soon as there is a file of a table. A run
/// that ended by itself is no hit.
pub(crate) fn kill_in_mid_work(arguments: &[&str], home: &Path, hits_wanted: u32) {
    let (mut hits, mut misses) = (0, 0);
    // The longest life seen so far of a run that was not killed.
    let mut life = Duration::from_secs(1);
    while hits < hits_wanted {
        let begin = Instant::now();
        let mut import = spawn(arguments);
        while !home.join("lock").exists() && !import.ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let share = f64::from((hits * 37 + misses * 11 + 5) % 101) / 101.0;
        let limit = life.mul_f64(share);
        let due = || match hits {
            0 => home.join("warehouse/network").exists(),
            _ => begin.elapsed() >= limit,
        };
        while !due() && !import.ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if import.ended() {
            assert!(import.wait().success(), "an import that was not killed failed");
            life = begin.elapsed();
            misses += 1;
        } else {
            let status = import.kill();
            // It may have ended between the look and the kill.
            if status.signal() == Some(SIGKILL) {
                hits += 1;
            } else {
                misses += 1;
            }
        }
        assert!(misses <= MISSES_MAX * hits_wanted, "only {hits} of {hits_wanted} kills hit");
    }
}

#[test]
fn killed_imports_end_in_the_tables_of_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 4);
    let (calm, killed) = (folder.path().join("calm"), folder.path().join("killed"));
    let arguments = |home| {
        ["import", "--home", text(home), "--stations", text(&stations), "--", text(&records)]
            .map(str::to_owned)
    };

    let calm_arguments = arguments(&calm);
    succeed(&calm_arguments.each_ref().map(String::as_str));

    let killed_arguments = arguments(&killed);
    let killed_arguments = killed_arguments.each_ref().map(String::as_str);
    kill_in_mid_work(&killed_arguments, &killed, KILL_COUNT);
    succeed(&killed_arguments);
    assert_same_tables(&tables(&calm), &tables(&killed));
}
