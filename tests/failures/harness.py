"""The binary as its users meet it: homes, commands, servers."""

import csv
import io
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
from typing import Optional

import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def binary() -> str:
    """The built binary."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("SEISLAKE_BINARY", str(target / "debug" / "seislake"))


def recordings() -> Optional[pathlib.Path]:
    """Real recordings, where the tester has them; with CI=true they must be there."""
    folder = pathlib.Path(os.environ.get("SEISLAKE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    assert os.environ.get("CI") != "true", f"no recordings at {folder} (set SEISLAKE_TEST_DATA)"
    return None


def environment() -> dict:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SEISLAKE")}
    return {**kept, "NO_COLOR": "1"}


class Home:
    """A home of its own and the commands that work on it."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.path = folder / "home"
        self.servers: list = []

    def run(self, *arguments: object, timeout: float = 120, **more) -> subprocess.CompletedProcess:
        """A command of the binary (`maintain compact` is one), whatever its status; `--home` is added."""
        first, *rest = [str(argument) for argument in arguments]
        command = [binary(), *first.split(), "--home", str(self.path), *rest]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(), **more)

    def succeed(self, *arguments: object, **more) -> str:
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"{arguments}: status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def fail(self, *arguments: object, **more) -> str:
        """The message of a command that must refuse: it says why in words and does not panic."""
        done = self.run(*arguments, **more)
        assert done.returncode != 0, f"{arguments} did not fail\n{done.stdout[-2000:]}"
        assert done.returncode in (1, 2), f"{arguments}: status {done.returncode}\n{done.stderr[-4000:]}"
        assert "panicked" not in done.stderr, done.stderr[-4000:]
        return done.stderr

    def query(self, sql: str) -> list:
        """Rows as dictionaries of text."""
        return list(csv.DictReader(io.StringIO(self.succeed("query", "--format", "csv", sql))))

    def count(self, table: str, where: str = "true") -> int:
        return int(self.query(f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"])

    def serve(self, *arguments: object, settings: str = "", **more) -> "Server":
        """A server on free ports; ended at the latest when the test ends."""
        server = Server(self, [str(argument) for argument in arguments], settings, **more)
        self.servers.append(server)
        return server

    def close(self) -> None:
        for server in self.servers:
            server.kill()


class Server:
    """A running `seislake serve`."""

    def __init__(self, home: Home, arguments: list, settings: str, prefix: tuple = (), extra_env: Optional[dict] = None):
        self.home = home
        command = [*prefix, binary(), "serve", "--home", str(home.path), "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"]
        if settings:
            path = home.folder / f"settings-{len(home.servers)}.toml"
            path.write_text(settings)
            command += ["--config", str(path)]
        addresses = home.path / "run" / "addresses.json"
        addresses.unlink(missing_ok=True)
        self.process = subprocess.Popen(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**environment(), **(extra_env or {})})
        self.lines: list = []
        threading.Thread(target=self._read, daemon=True).start()
        for _ in range(600):
            if addresses.exists():
                break
            assert self.process.poll() is None, f"the server ended with status {self.process.returncode}:\n{self.log()}"
            time.sleep(0.1)
        else:
            raise AssertionError(f"the server did not start within 60 s:\n{self.log()}")
        self.addresses = json.loads(addresses.read_text())

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    def log(self) -> str:
        return "".join(self.lines)

    @property
    def http(self) -> str:
        """Base address of the HTTP doors."""
        address = self.addresses["http"]
        return address if address.startswith("http") else f"http://{address}"

    @property
    def flight(self) -> str:
        address = self.addresses["flight"]
        return address if "://" in address else f"grpc://{address}"

    def get(self, path: str, timeout: float = 30, **more) -> requests.Response:
        return requests.get(self.http + path, timeout=timeout, **more)

    def post(self, path: str, timeout: float = 30, **more) -> requests.Response:
        return requests.post(self.http + path, timeout=timeout, **more)

    def ingest(self, records: bytes) -> requests.Response:
        return self.post("/waveforms/ingest", data=records, headers={"Content-Type": "application/vnd.fdsn.mseed"})

    def graphql(self, document: str, variables: Optional[dict] = None) -> dict:
        return self.post("/graphql", json={"query": document, "variables": variables or {}}).json()

    def sql(self, statement: str, timeout_s: float = 30) -> list:
        """Rows of a statement over Flight SQL."""
        import adbc_driver_flightsql.dbapi as flight_sql
        from adbc_driver_flightsql import DatabaseOptions
        options = {DatabaseOptions.TIMEOUT_QUERY.value: str(timeout_s), DatabaseOptions.TIMEOUT_FETCH.value: str(timeout_s)}
        with flight_sql.connect(self.flight, db_kwargs=options) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def alive(self, within_s: float = 2.0) -> float:
        """Asserts that the server lives; seconds until /livez answered."""
        began = time.monotonic()
        assert self.process.poll() is None, f"the server ended with status {self.process.returncode}:\n{self.log()[-4000:]}"
        assert self.get("/livez", timeout=within_s).status_code == 200
        return time.monotonic() - began

    def resident_bytes(self) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def worked_s(self) -> float:
        """Processor time so far, whatever else the machine does."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_calm(self) -> bool:
        """Whether no statement works or waits for a processor. Its threads have a low priority: even a little time says
        that one does."""
        def told() -> list:
            threads = []
            for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
                try:
                    name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if name in ("sql", "doors"):
                    state, *_, user, system = fields.split()[:13]
                    threads.append((task.name, state, user, system))
            return sorted(threads)
        before = told()
        assert before, "statements have threads"
        for _ in range(7):
            if any(state != "S" for _, state, *_ in before) or told() != before:
                return False
            time.sleep(0.1)
        return True

    def stop(self, timeout: float = 40) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=20)


def wait_until(condition, within_s: float = 30, every_s: float = 0.1):
    """The first true answer of `condition`."""
    end = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not true within {within_s} s"
        time.sleep(every_s)
