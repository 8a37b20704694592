"""The command line: results, progress, logs, Ctrl-C, and why there is no event."""

import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import signal
import socket
import struct
import subprocess
import termios
import time

import numpy as np
import pytest
from harness import Home, binary, environment, wait_until
from records import series, station_text

ANSI = "\x1b["


def stations(count: int, network="XX") -> str:
    return station_text([(network, f"S{n:02}", "", "HHZ", 10 + n * 0.1, 20 + n * 0.05, 100, 100) for n in range(1, count + 1)])


def recordings(folder, count=3, seconds=40, network="XX", onset_s=25):
    """Noise of several stations with a burst in each: picks, but nothing that fits one source."""
    folder.mkdir(exist_ok=True)
    for n in range(1, count + 1):
        random = np.random.default_rng(n)
        samples = random.normal(0, 20, seconds * 100)
        if onset_s:
            begin = onset_s * 100 + n * 37
            samples[begin:] += 4000 * np.exp(-np.arange(len(samples) - begin) / 300) * np.sin(np.arange(len(samples) - begin))
        (folder / f"{n}.mseed").write_bytes(series(samples.astype(int), "2024-01-01T00:00:00", network=network, station=f"S{n:02}"))
    return folder


def at_most_8_gib() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def waiting(process) -> list:
    """In what of the kernel each thread waits."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task")
    return [(task / "wchan").read_text() for task in tasks.iterdir()] if tasks.exists() else []


def is_waiting_for_a_reader(process) -> bool:
    return any("pipe_write" in waits for waits in waiting(process))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A home with records and stations."""
    home = Home(tmp_path_factory.mktemp("filled"))
    (home.folder / "stations.txt").write_text(stations(3))
    home.succeed("import", "--stations", home.folder / "stations.txt", "--", recordings(home.folder / "records"))
    return home


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """Four minutes of the synthetic network, as a home and as one file."""
    home = Home(tmp_path_factory.mktemp("synthetic"))
    made = home.run("demo", "--exit", "--minutes", 4, "--seed", 3)
    assert made.returncode in (0, 1), made.stderr
    return home


def on_terminal(arguments, columns=80, end=None, within_s=60.0):
    """What a command shows on a terminal of so many columns, and its status. `end` gets the text so far and the process."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {key: value for key, value in environment().items() if key not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen([binary(), *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, env={**kept, "TERM": "xterm"})
    os.close(slave)
    os.set_blocking(master, False)
    shown, limit = b"", time.monotonic() + within_s
    while True:
        try:
            part = os.read(master, 65536)
        except BlockingIOError:
            part = None
        except OSError:
            break
        if part == b"":
            break
        shown += part or b""
        if end and end(shown.decode(errors="replace"), process):
            end = None
        assert time.monotonic() < limit, shown[-2000:]
        if part is None:
            time.sleep(0.01)
    status = process.wait(timeout=20)
    os.close(master)
    return shown.decode(errors="replace"), status


def started(arguments, **more):
    return subprocess.Popen([binary(), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), **more)


# B21


def test_B21_json_writes_nulls_numbers_and_a_final_newline(filled):
    out = filled.succeed("query", "--format", "json", "SELECT 1 AS a, NULL AS b, CAST('NaN' AS DOUBLE) AS c, [1, NULL] AS d")
    assert out.endswith("]\n") and json.loads(out) == [{"a": 1, "b": None, "c": None, "d": [1, None]}]
    out = filled.succeed("query", "--format", "json", "SELECT magnitude, source_id FROM bulletin.magnitudes, bulletin.picks")
    assert out == "[]\n"
    rows = json.loads(filled.succeed("query", "--format", "json", "SELECT event_id, end_time, site_name, station FROM network.stations "
                                     "LEFT JOIN bulletin.events_current ON false"))
    assert len(rows) == 3 and all(set(row) == {"event_id", "end_time", "site_name", "station"} for row in rows), rows


def test_B21_csv_quotes_the_names_of_columns_that_need_it(filled):
    out = filled.succeed("query", "--format", "csv", 'SELECT 1 AS "a,b", 2 AS "say ""x""", 3 AS c').splitlines()
    assert out == ['"a,b","say ""x""",c', "1,2,3"]


@pytest.mark.parametrize("columns", [50, 80, 132])
def test_B21_a_table_is_as_wide_as_its_terminal_and_whole_elsewhere(filled, columns):
    sql = "SELECT source_id, start_time, end_time, sample_count, samples, topic FROM waveform.segments"
    shown, status = on_terminal(["query", "--home", filled.path, sql], columns)
    lines = [line for line in shown.replace("\r", "").splitlines() if line.startswith(("|", "+"))]
    assert status == 0 and len(lines) > 5, shown
    assert max(map(len, lines)) <= columns, max(lines, key=len)
    assert "…" in shown, "a list of four thousand samples is cut on a terminal"
    assert ("--vertical" in shown) == (columns < 70), shown[-300:]
    piped = filled.succeed("query", sql)
    assert "…" not in piped and max(map(len, piped.splitlines())) > 4000


def test_B21_vertical_shows_one_value_a_line(filled):
    out = filled.succeed("query", "--vertical", "SELECT station, latitude, NULL AS nothing FROM network.stations ORDER BY 1")
    lines = out.splitlines()
    assert lines[0] == "--- row 1" and re.match(r"station +S01$", lines[1]) and lines[-1] == "3 rows", out
    assert "--format" in filled.fail("query", "--vertical", "--format", "json", "SELECT 1")


def test_B21_a_statement_comes_from_standard_input(filled):
    assert filled.succeed("query", "--format", "csv", "-", input="SELECT count(*) AS n\nFROM network.stations\n") == "n\n3\n"
    assert "no statement" in filled.fail("query", "-", input=" \n")


# B22


def test_B22_an_import_has_a_bar_for_each_phase(home, synthetic):
    records = home.folder / "records.mseed"
    synthetic.succeed("export", "--format", "mseed", "--output", records)
    xml = home.folder / "stations.xml"
    synthetic.succeed("export", "--format", "stationxml", "--output", xml)
    shown, status = on_terminal(["import", "--home", home.path, "--stations", xml, "--", records], 120)
    assert status == 0, shown
    phases = [shown.find(words) for words in ("scanning headers", "reading records", "finding events")]
    assert -1 not in phases and phases == sorted(phases), shown
    assert re.search(r"finding events .*\d+/[1-9]\d* messages", shown), shown


def test_B22_exports_and_compaction_say_what_they_do(filled):
    for form, path in [("mseed", "all.mseed"), ("sds", "archive"), ("raw", "raw.mseed")]:
        done = filled.run("export", "--format", form, "--output", filled.folder / path)
        assert done.returncode == 0 and re.search(r"wrote .*\d+ records, [\d.]+ \wi?B to", done.stderr), done.stderr
    shown, status = on_terminal(["maintain", "compact", "--all", "--home", filled.path], 120)
    assert status == 0 and "compacting" in shown and "/" in shown, shown


def big_home(folder) -> Home:
    """A home whose export takes a while."""
    home = Home(folder)
    records = folder / "records"
    records.mkdir()
    samples = np.random.default_rng(1).integers(-8_000_000, 8_000_000, 360_000)
    for n in range(1, 9):
        (records / f"{n}.mseed").write_bytes(series(samples, "2024-01-01T23:30:00", station=f"B{n}", per_record=1000))
    home.succeed("import", "--archive-only", records)
    return home


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    return big_home(tmp_path_factory.mktemp("big"))


@pytest.mark.parametrize("form, number, status", [("mseed", signal.SIGINT, 130), ("sds", signal.SIGINT, 130), ("mseed3", signal.SIGTERM, 143)])
def test_B22_an_interrupted_export_leaves_nothing_behind_and_says_so(big, form, number, status):
    place = big.folder / f"out-{form}"
    place.mkdir()
    output = place / ("archive" if form == "sds" else "all.mseed")
    if form != "sds":
        output.write_text("the export of yesterday")
    export = started(["export", "--home", big.path, "--format", form, "--output", output])
    wait_until(lambda: export.poll() is not None or list(place.rglob("*.partial")), every_s=0.001)
    export.send_signal(number)
    _, errors = export.communicate(timeout=30)
    assert export.returncode == status, (export.returncode, errors)
    assert re.fullmatch(rb"the export was interrupted; .*\n", errors), errors
    left = [path for path in place.rglob("*")]
    assert left == ([] if form == "sds" else [output]), left
    if form != "sds":
        assert output.read_text() == "the export of yesterday"
    assert big.run("export", "--format", form, "--output", output).returncode == 0
    assert not list(place.rglob("*.partial"))


def test_B22_an_export_that_fails_leaves_nothing_behind(big):
    output = big.folder / "none.mseed"
    assert "no records" in big.fail("export", "--format", "mseed", "--source", "XX.NONE..HHZ", "--output", output)
    assert not list(big.folder.glob("none*"))
    assert "cannot write" in big.fail("export", "--format", "mseed", "--output", big.folder / "absent" / "file")


def test_B22_an_interrupted_import_says_how_to_go_on_and_goes_on(home):
    records = home.folder / "records"
    records.mkdir()
    samples = np.random.default_rng(1).integers(-8_000_000, 8_000_000, 360_000)
    for n in range(1, 9):
        (records / f"{n}.mseed").write_bytes(series(samples, "2024-01-01T00:00:00", station=f"B{n}", per_record=1000))
    importing = started(["import", "--home", home.path, "--", records])
    log = home.path / "log"
    wait_until(lambda: importing.poll() is not None or sum(f.stat().st_size for f in log.rglob("*.log")) > 0, every_s=0.001)
    importing.send_signal(signal.SIGINT)
    _, errors = importing.communicate(timeout=60)
    assert importing.returncode == 130, (importing.returncode, errors)
    last = errors.decode().splitlines()[-1]
    assert "the import was interrupted" in last and "again" in last, errors
    report = json.loads(home.succeed("import", "--json", "--", records))
    assert report["records"] == 8 * 360 and report["accepted_records"] + report["duplicate_records"] == 8 * 360
    assert home.count("waveform.packets") == 8 * 360


@pytest.mark.parametrize("command", [["maintain", "compact", "--all"], ["quality", "update"]])
def test_B22_interrupted_maintenance_says_what_is_left(big, command):
    rows = big.query("SELECT source_id, sum(sample_count) AS n FROM waveform.segments GROUP BY 1 ORDER BY 1")
    first, *rest = command
    work = started([first, *rest, "--home", big.path])
    fds = f"/proc/{work.pid}/fd"

    def at_work():
        try:
            return work.poll() is not None or any(str(big.path) in os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds))
        except OSError:
            return False

    wait_until(at_work, every_s=0.001)
    work.send_signal(signal.SIGINT)
    _, errors = work.communicate(timeout=30)
    assert work.returncode in (0, 130), errors
    assert work.returncode == 0 or b"interrupted" in errors, errors
    assert big.query("SELECT source_id, sum(sample_count) AS n FROM waveform.segments GROUP BY 1 ORDER BY 1") == rows
    again = subprocess.run([binary(), first, *rest, "--home", str(big.path)], capture_output=True, text=True, env=environment())
    assert again.returncode == 0, again.stderr


# B23


def import_report(home, stations_text=None, **more):
    folder = recordings(home.folder / "records", **more)
    options = []
    if stations_text is not None:
        (home.folder / "stations.txt").write_text(stations_text)
        options = ["--stations", home.folder / "stations.txt"]
    return json.loads(home.succeed("import", "--json", *options, "--", folder))


def test_B23_no_stations_at_all(home):
    report = import_report(home, count=5)
    assert report["rows"]["events"] == 0 and report["rows"]["picks"] > 0
    assert len(report["reasons"]) == 1 and "no stations are known" in report["reasons"][0] and "--stations" in report["reasons"][0], report


def test_B23_stations_of_other_codes(home):
    report = import_report(home, stations(5, network="YY"), count=5)
    assert "XX.S01" in report["reasons"][0] and "where it stands" in report["reasons"][0], report


def test_B23_too_few_stations(home):
    report = import_report(home, stations(3), count=3)
    assert "3 stations" in report["reasons"][0] and "associate.stations_min" in report["reasons"][0], report


def test_B23_nothing_fits_one_source(home):
    report = import_report(home, stations(6), count=6)
    assert report["rows"]["picks"] >= 6 and "no group of them fits one source" in report["reasons"][0], report
    assert "evidence" in report["reasons"][0]
    again = home.succeed("import", "--", home.folder / "records")
    assert report["reasons"][0] in again, f"the text says it too: {again}"


def test_B23_no_onset(home):
    report = import_report(home, stations(4), count=4, onset_s=0)
    assert report["rows"]["picks"] == 0 and "no onset" in report["reasons"][0], report


def test_B23_horizontals_only(home):
    folder = home.folder / "records"
    folder.mkdir()
    for channel in ("HHN", "HHE"):
        samples = np.random.default_rng(3).normal(0, 20, 4000)
        samples[2500:] += np.random.default_rng(4).normal(0, 2000, 1500)
        (folder / f"{channel}.mseed").write_bytes(series(samples.astype(int), "2024-01-01T00:00:00", station="S01", channel=channel))
    (home.folder / "stations.txt").write_text(stations(4))
    report = json.loads(home.succeed("import", "--json", "--stations", home.folder / "stations.txt", "--", folder))
    assert report["rows"]["picks"] == 0 and "no vertical channel" in report["reasons"][0], report


def test_B23_dead_letters_of_stages_are_new_too(home):
    """Picks of a station without a place are letters of the stages."""
    report = import_report(home, stations(3), count=6)
    assert report["rows"]["dead_letters"] > 0 and report["new_dead_letters"] == report["rows"]["dead_letters"], report
    again = json.loads(home.succeed("import", "--json", "--", home.folder / "records"))
    assert again["new_dead_letters"] == 0 and again["rows"] == report["rows"], again


def test_B23_a_seam_between_two_imports_is_told(home):
    def imported(name, start):
        samples = np.random.default_rng(3).normal(0, 20, 3000).astype(int)
        (home.folder / name).write_bytes(series(samples, start, station="S01"))
        return json.loads(home.succeed("import", "--json", "--", home.folder / name))["reasons"]

    def seam(reasons):
        return [reason for reason in reasons if "where an earlier import ended" in reason]
    assert seam(imported("a.mseed", "2024-01-01T00:00:00")) == []
    told = seam(imported("b.mseed", "2024-01-01T00:00:30"))
    assert len(told) == 1 and told[0].startswith("1 channels") and "4 s" in told[0], told
    assert seam(imported("c.mseed", "2024-01-01T00:03:00")) == []
    assert seam(imported("a.mseed", "2024-01-01T00:00:00")) == []


def test_B23_events_without_magnitudes(home, synthetic):
    records = home.folder / "records.mseed"
    synthetic.succeed("export", "--format", "mseed", "--output", records)
    rows = synthetic.query("SELECT network, station, latitude, longitude, elevation_m FROM network.stations")
    (home.folder / "stations.txt").write_text(station_text(
        [(row["network"], row["station"], "", channel, row["latitude"], row["longitude"], row["elevation_m"], 100)
         for row in rows for channel in ("HHZ", "HHN", "HHE")]).replace("|1e9|1|m/s|", "||||"))
    report = json.loads(home.succeed("import", "--json", "--stations", home.folder / "stations.txt", "--", records))
    assert report["rows"]["events"] > 0, report
    assert len(report["reasons"]) == 1 and "have no magnitude" in report["reasons"][0] and "response" in report["reasons"][0], report


def test_B23_nothing_to_explain_where_all_is_there_and_in_archives(home, synthetic):
    xml = home.folder / "stations.xml"
    synthetic.succeed("export", "--format", "stationxml", "--output", xml)
    assert json.loads(synthetic.succeed("import", "--json", "--stations", xml))["reasons"] == []
    archive = Home(home.folder / "archive-home")
    archive.folder.mkdir()
    assert json.loads(archive.succeed("import", "--archive-only", "--json", "--", recordings(home.folder / "records")))["reasons"] == []


# B24


def test_B24_a_server_says_when_it_is_ready_and_when_it_has_stopped(home):
    server = home.serve()
    wait_until(lambda: "ready: " in server.log())
    assert server.stop() == 0
    wait_until(lambda: "stopped: " in server.log())
    lines = server.log().splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == ["ready", "stopping", "stopped"], lines
    assert str(home.path) in lines[-3] and str(server.process.pid) in lines[-3], lines
    assert ANSI not in server.log()


def test_B24_the_log_level_is_a_flag_or_a_variable_and_plain_in_files(home):
    server = home.serve("--log-level", "debug")
    wait_until(lambda: "DEBUG" in server.log())
    assert server.stop() == 0
    assert ANSI not in server.log()
    by_variable = home.serve(extra_env={"SEISLAKE_LOG": "debug"})
    wait_until(lambda: "DEBUG" in by_variable.log())
    assert by_variable.stop() == 0
    quiet = home.serve("--log-level", "off", extra_env={"SEISLAKE_LOG": "debug"})
    assert quiet.stop() == 0
    assert "DEBUG" not in quiet.log(), "the flag wins"


@pytest.mark.parametrize("level", ["loud", "", "seislake=loud", "warn,,"])
def test_B24_a_log_level_that_is_none_is_a_usage_error(home, level):
    done = home.run("query", "--log-level", level, "SELECT 1")
    assert done.returncode == 2 and "log-level" in done.stderr, done.stderr
    by_variable = subprocess.run([binary(), "config", "show"], env={**environment(), "SEISLAKE_LOG": level or ","}, capture_output=True, text=True)
    assert by_variable.returncode == 2, by_variable.stderr


def test_B24_help_names_the_log_variable_and_the_exit_statuses(home):
    shown = subprocess.run([binary(), "--help"], capture_output=True, text=True, env=environment()).stdout
    assert "SEISLAKE_LOG" in shown and "--log-level" in shown
    assert re.search(r"Exit status: 0 .*1 .*2 .*130", shown, re.DOTALL), shown


@pytest.mark.parametrize("arguments", [
    ["export", "--format", "mseed"], ["export", "--format", "raw"], ["export", "--format", "mseed3"],
    ["query", "--format", "csv", "SELECT * FROM range(0, 3000000)"],
    ["query", "--format", "json", "SELECT * FROM range(0, 3000000)"],
    ["query", "--format", "arrow", "SELECT * FROM range(0, 3000000)"],
    ["query", "--format", "table", "SELECT * FROM range(0, 100000)"],
])
def test_B24_a_reader_that_leaves_ends_the_command_quietly(big, arguments):
    first, *rest = arguments
    reading = started([first, "--home", big.path, *rest])
    assert len(reading.stdout.read(1000)) == 1000
    reading.stdout.close()
    assert reading.wait(timeout=60) == 0
    assert reading.stderr.read() == b""


def test_B24_records_are_not_written_to_a_terminal(filled):
    for form in ("mseed", "raw"):
        shown, status = on_terminal(["export", "--home", filled.path, "--format", form])
        assert status == 1 and "not for a terminal" in shown and len(shown) < 300, shown
    shown, status = on_terminal(["query", "--home", filled.path, "--format", "arrow", "SELECT 1"])
    assert status == 1 and "not for a terminal" in shown, shown


# The demo


def test_B22_the_demo_says_what_becomes_of_its_home_and_closes_with_the_comparison(home, tmp_path):
    kept = {**environment(), "TMPDIR": str(tmp_path), "SEISLAKE__HTTP__ADDRESS": "127.0.0.1:0", "SEISLAKE__FLIGHT__ADDRESS": "127.0.0.1:0"}
    demo = subprocess.Popen([binary(), "demo", "--minutes", "30", "--speed", "60"], env=kept, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    lines = []
    for line in demo.stderr:
        lines.append(line)
        if line.startswith("located"):
            break
    assert "temporary, deleted at the end" in "".join(lines), lines
    assert len(list(tmp_path.glob("seislake-demo-*"))) == 1
    demo.send_signal(signal.SIGINT)
    out, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors
    assert re.match(r"matched \d+ of \d+ reference events \(recall [\d.-]+ ?%?\), \d+ in the catalogue \(precision", out), out
    assert "is deleted" in errors.splitlines()[-1] and not list(tmp_path.glob("seislake-demo-*")), errors


def test_B22_a_demo_with_a_home_keeps_it(synthetic):
    assert synthetic.count("bulletin.events_current") > 0
    done = synthetic.run("demo", "--exit", "--minutes", 1, "--json")
    assert "stays: seislake serve --home" in done.stderr, done.stderr
    json.loads(done.stdout)


# Habits


@pytest.mark.parametrize("words, said", [
    (["imprt"], "import"), (["maintain", "compactt"], "compact"), (["query", "--formt", "csv", "SELECT 1"], "--format"),
    (["export", "--format", "quakml"], "quakeml"), (["serve", "--htp", "x"], "--http"),
])
def test_typos_are_answered_with_what_was_meant(words, said):
    done = subprocess.run([binary(), *words], capture_output=True, text=True, env=environment())
    assert done.returncode == 2 and "similar" in done.stderr and said in done.stderr, done.stderr


def test_missing_files_are_named(home):
    absent = home.folder / "absent"
    for arguments in (["import", "--", absent], ["import", "--stations", absent, "--", home.folder],
                      ["compare", "--reference", absent], ["query", "--config", absent, "SELECT 1"],
                      ["import", "--velocity-model", absent, "--", home.folder]):
        message = home.fail(*arguments)
        assert str(absent) in message and len(message.strip().splitlines()) == 1, message
    done = subprocess.run([binary(), "inspect", absent], capture_output=True, text=True, env=environment())
    assert done.returncode == 1 and str(absent) in done.stderr, done.stderr


def test_a_directory_is_named_where_a_file_is_wanted(home):
    for arguments in (["import", "--stations", home.folder, "--", home.folder], ["compare", "--reference", home.folder]):
        assert str(home.folder) in home.fail(*arguments)


@pytest.mark.parametrize("what", ["a pipe", "a socket", "a device"])
def test_what_waits_or_never_ends_is_refused_where_a_file_is_wanted(home, what):
    strange = home.folder / "strange"
    if what == "a pipe":
        os.mkfifo(strange)
    elif what == "a socket":
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(strange))
    else:
        strange.symlink_to("/dev/zero")
    empty = home.folder / "empty"
    empty.mkdir()
    for arguments in (["import", "--", strange], ["import", "--stations", strange, "--", empty], ["compare", "--reference", strange],
                      ["query", "--config", strange, "SELECT 1"], ["import", "--velocity-model", strange, "--", empty]):
        message = home.fail(*arguments, timeout=20)
        assert str(strange) in message and what in message, (arguments, message)
    for arguments in (["inspect", strange], ["config", "check", "--config", strange]):
        done = subprocess.run([binary(), *arguments], capture_output=True, text=True, env=environment(), timeout=20)
        assert done.returncode == 1 and str(strange) in done.stderr and what in done.stderr, done.stderr


def test_dead_letters_come_as_json_too(home):
    (home.folder / "letter.mseed").write_text("Dear archive, this is no record.\n" * 40)
    home.run("import", "--", home.folder / "letter.mseed")
    for arguments in (["dlq", "list"], ["dlq", "show", "--limit", "1"]):
        done = subprocess.run([binary(), *arguments, "--json", "--home", str(home.path)], capture_output=True, text=True, env=environment())
        rows = json.loads(done.stdout)
        assert rows and "miniSEED" in rows[0]["reason"], rows


def test_configuration_and_the_report_of_quality_come_as_json_too(filled, tmp_path):
    def told(*arguments):
        done = subprocess.run([binary(), *arguments, "--json"], capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert told("config", "show")["query"]["timeout_s"] > 0
    assert told("config", "check") == {"valid": True, "problems": []}
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[attic]\nx = 1\n[event]\npreferred_agencies = ['', '']\n")
    done = subprocess.run([binary(), "config", "check", "--json", "--config", wrong], capture_output=True, text=True, env=environment())
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["valid"] is False and "attic" in done.stderr, (done.stdout, done.stderr)
    assert all(any(word in problem for problem in answer["problems"]) for word in ("attic", "event.preferred_agencies")), answer
    filled.succeed("quality update")
    report = json.loads(filled.succeed("quality report", "--output", tmp_path / "report", "--json"))
    assert report["rows"]["continuity"] > 0 and report["output"] == str(tmp_path / "report"), report


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_B22_commands_that_only_read_end_with_a_sentence(filled, number, status):
    endless = "SELECT count(*) FROM range(0, 1000000) AS a, range(0, 1000000) AS b WHERE a.value + b.value = -1"
    for command in (["query", endless], ["query", "--format", "csv", endless]):
        work = started([command[0], "--home", filled.path, *command[1:]])
        time.sleep(1.5)
        assert work.poll() is None, work.communicate()
        work.send_signal(number)
        _, errors = work.communicate(timeout=30)
        assert work.returncode == status, errors
        assert errors.decode().splitlines()[-1] == "interrupted; nothing was changed", errors


def test_B22_inspect_ends_with_a_sentence(tmp_path):
    records = tmp_path / "records"
    records.mkdir()
    body = series(np.random.default_rng(1).integers(-8_000_000, 8_000_000, 360_000), "2024-01-01T00:00:00", per_record=100)
    (records / "0.mseed").write_bytes(body)
    # Names of one file: much to read, and next to nothing to write.
    for number in range(1, 3000):
        (records / f"{number}.mseed").hardlink_to(records / "0.mseed")
    work = started(["inspect", "--json", records])
    time.sleep(1.0)
    assert work.poll() is None, "there is not enough to read"
    work.send_signal(signal.SIGINT)
    _, errors = work.communicate(timeout=30)
    assert (work.returncode, errors.decode().splitlines()[-1]) == (130, "interrupted; nothing was changed"), errors


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", [("export", "--format", "mseed"), ("export", "--format", "raw"),
                                     ("query", "--format", "csv", "SELECT unnest(samples) FROM waveform.segments")], ids=lambda command: " ".join(command[:3]))
def test_B22_signals_end_a_command_whose_output_nobody_reads(big, command, number, status):
    work = started([command[0], "--home", big.path, *command[1:]])
    try:
        wait_until(lambda: is_waiting_for_a_reader(work), within_s=60)
        work.send_signal(number)
        assert work.wait(timeout=2) == status
        assert b"interrupted" in work.stderr.read()
    finally:
        work.kill()


@pytest.mark.parametrize("reader", ["none", "slow"])
def test_B22_signals_end_an_export_into_a_pipe(big, tmp_path, reader):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    work = started(["export", "--home", big.path, "--format", "mseed", "--output", pipe])
    try:
        if reader == "slow":
            with pipe.open("rb") as taken:
                taken.read(100)
                wait_until(lambda: is_waiting_for_a_reader(work), within_s=60)
                work.send_signal(signal.SIGTERM)
                status = work.wait(timeout=2)
        else:
            wait_until(lambda: any("wait_for_partner" in waits or "fifo_open" in waits for waits in waiting(work)), within_s=60)
            work.send_signal(signal.SIGTERM)
            status = work.wait(timeout=2)
        assert (status, work.stderr.read().decode()) == (143, f'the export was interrupted; what it wrote to "{pipe}" is not whole\n')
    finally:
        work.kill()


@pytest.mark.parametrize("arguments", [
    ("import", "--archive-only", "--velocity-model", "iasp91", "records"), ("import", "--velocity-model", "nosuch", "records"),
    ("import", "--shard", "1/2", "--velocity-model", "ak135", "records"), ("import", "--velocity-model", "text", "records"),
    ("import", "--stations", "nosuch", "records"), ("import", "--archive-only", "nosuch")], ids=" ".join)
def test_a_refused_import_settles_nothing(home, arguments):
    recordings(home.folder / "records", count=1)
    (home.folder / "text").write_text("no model")
    home.fail(*arguments, cwd=home.folder)
    assert not (home.path / "purpose.json").exists() and not (home.path / "state" / "velocity-model.json").exists()
    other = ["--velocity-model", "ak135"] if {"--archive-only", "--shard"} & set(arguments) else ["--archive-only"]
    home.succeed("import", *other, "records", cwd=home.folder)


def test_a_refused_import_leaves_the_model_as_it_was(home):
    records = recordings(home.folder / "records", count=1)
    home.succeed("import", "--velocity-model", "ak135", records)
    kept = (home.path / "state" / "velocity-model.json").read_text()
    # The engine cannot start.
    (home.folder / "elsewhere.toml").write_text('[lake]\nwarehouse = "/dev/null/nowhere"\n')
    home.fail("import", "--config", home.folder / "elsewhere.toml", "--velocity-model", "iasp91", records)
    assert (home.path / "state" / "velocity-model.json").read_text() == kept
    home.succeed("import", "--velocity-model", "iasp91", records)
    assert "iasp91" in (home.path / "state" / "velocity-model.json").read_text()


@pytest.mark.parametrize("arguments, most", [
    (("import", "--stations", "long", "records"), 1 << 30), (("compare", "--reference", "long"), 1 << 30),
    (("import", "--velocity-model", "long", "records"), 16 << 20), (("query", "--config", "long", "SELECT 1"), 16 << 20)], ids=lambda value: str(value[0] if isinstance(value, tuple) else value))
def test_a_file_that_is_too_long_to_be_read_as_a_whole_is_refused(home, arguments, most):
    recordings(home.folder / "records", count=1)
    (home.folder / "long").touch()
    os.truncate(home.folder / "long", 60 << 30)
    said = home.fail(*arguments, cwd=home.folder, timeout=10, preexec_fn=at_most_8_gib)
    assert str(60 << 30) in said and str(most) in said, said
    assert not (home.path / "purpose.json").exists()
