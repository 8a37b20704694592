import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "failures"))

from conftest import home  # noqa: E402,F401
