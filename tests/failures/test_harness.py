"""The records of these cases are ones that the binary reads."""

import numpy as np
from records import record3, series


def test_records_of_both_versions_are_read(home):
    folder = home.folder / "records"
    folder.mkdir()
    (folder / "two.mseed").write_bytes(series(np.arange(1000), "2024-01-01T00:00:00"))
    (folder / "three.mseed").write_bytes(record3(np.arange(500), "2024-01-01T00:00:00", "FDSN:XX_THREE__H_H_Z"))
    home.succeed("import", "--archive-only", folder)
    rows = home.query("SELECT source_id, sum(sample_count) AS n FROM waveform.segments GROUP BY 1 ORDER BY 1")
    assert [(row["source_id"], row["n"]) for row in rows] == [("FDSN:XX_STA__H_H_Z", "1000"), ("FDSN:XX_THREE__H_H_Z", "500")]
