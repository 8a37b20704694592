import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "failures"))

from harness import Home  # noqa: E402


@pytest.fixture
def home(tmp_path):
    """An empty home; its servers end with the test."""
    made = Home(tmp_path)
    yield made
    made.close()
