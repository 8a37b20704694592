"""DataFusion's list functions work on the lists of the tables."""

import numpy as np
from records import FLOAT64, series


def test_B14_list_functions_work_on_samples(home):
    folder = home.folder / "records"
    folder.mkdir()
    (folder / "counts.mseed").write_bytes(series(np.arange(1, 101), "2024-01-01T00:00:00", station="INT"))
    (folder / "floats.mseed").write_bytes(series(np.arange(1, 101), "2024-01-01T00:00:00", station="FLT", encoding=FLOAT64))
    home.succeed("import", "--archive-only", folder)
    cases = {
        "{s}[2:4]": [2, 3, 4],
        "array_slice({s}, 1, 3)": [1, 2, 3],
        "array_append({s}[1:2], 7)": [1, 2, 7],
        "array_prepend(7, {s}[1:2])": [7, 1, 2],
        "array_replace({s}[1:3], 2, 9)": [1, 9, 3],
        "array_replace_all({s}[1:3], 2, 9)": [1, 9, 3],
        "array_remove({s}[1:3], 2)": [1, 3],
        "array_remove_all({s}[1:3], 2)": [1, 3],
        "array_except({s}[1:3], {s}[1:2])": [3],
        "array_intersect({s}[1:3], {s}[2:9])": [2, 3],
        "array_union({s}[1:2], {s}[2:3])": [1, 2, 3],
        "array_concat({s}[1:2], {s}[3:4])": [1, 2, 3, 4],
        "array_pop_front({s}[1:3])": [2, 3],
        "array_pop_back({s}[1:3])": [1, 2],
        "array_reverse({s}[1:3])": [3, 2, 1],
        "array_sort({s}[1:3], 'DESC')": [3, 2, 1],
        "array_distinct({s}[1:3])": [1, 2, 3],
        "array_resize({s}[1:2], 3, 5)": [1, 2, 5],
        "array_slice(array_pop_front({s}), 98, 99)": [99, 100],
        "array_slice(array_append({s}, 7), 100, 101)": [100, 7],
        "array_slice(array_replace({s}, 100, 7), 99, 100)": [99, 7],
        "array_slice(array_except({s}, [1]), 1, 1)": [2],
    }
    for station, column in (("INT", "samples"), ("FLT", "samples_float")):
        for expression, expected in cases.items():
            row, = home.query(f"SELECT array_to_string({expression.format(s=column)}, ' ') AS list FROM waveform.segments "
                              f"WHERE station = '{station}'")
            assert [float(word) for word in row["list"].split()] == expected, (column, expression)
        row, = home.query(f"SELECT array_length({column}) AS n, array_max({column}) AS most, array_position({column}, 5) AS place, "
                          f"{column}[3] AS third FROM waveform.segments WHERE station = '{station}'")
        assert (int(row["n"]), float(row["most"]), int(row["place"]), float(row["third"])) == (100, 100, 5, 3)
