"""A PostgreSQL from Debian's packages, and an MLflow server with passwords on it, for tests on this machine."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/tracking"))
from interface import free_port  # noqa: E402

from wsgcn.tracking.server import why_away  # noqa: E402

SERVER_PACKAGES = ("psycopg2-binary", "flask-wtf", "wtforms")
"""What the server needs beside MLflow: PostgreSQL's driver, and what MLflow's own passwords need."""

DATABASE_USER, DATABASE, ADMIN = "mlflow", "mlflow", "admin"
START_S, STOP_S = 600, 60


def find_program(name: str) -> str:
    """The path of one of PostgreSQL's programs, which Debian keeps out of PATH; skips the test without it."""
    found = [*filter(None, [shutil.which(name)]), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    return found[0] if found else pytest.skip(f"needs PostgreSQL's {name} (Debian: postgresql)")


def install_server_packages(folder: Path) -> Path:
    """A folder with the packages of a server; skips the test where they cannot be installed."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, *SERVER_PACKAGES], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs {', '.join(SERVER_PACKAGES)} from PyPI: {done.stderr.strip().splitlines()[-1]}")
    return folder


@dataclass
class Process:
    """A server that can be killed and started again."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    log: Path
    user: str | None = None
    running: subprocess.Popen | None = None

    def start(self) -> None:
        with open(self.log, "ab") as output:
            self.running = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
            )

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the server with all of its processes."""
        if self.running is None or self.running.poll() is not None:
            return
        os.killpg(self.running.pid, how)
        try:
            self.running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()

    def wait_until(self, answers) -> None:
        end = time.monotonic() + START_S
        while not answers():
            assert self.running.poll() is None and time.monotonic() < end, self.log.read_text()[-4000:]
            time.sleep(0.5)


@dataclass
class Servers:
    """PostgreSQL and the MLflow server on it, with two passwords that nobody must write down."""

    folder: Path
    database: Process
    mlflow: Process
    address: str
    secrets: dict[str, str]
    programs: dict[str, str] = field(default_factory=dict)

    def credentials(self) -> dict[str, str]:
        """MLflow's variables for its clients."""
        return {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": self.secrets["mlflow"]}

    def start_mlflow(self) -> None:
        self.mlflow.start()
        self.mlflow.wait_until(self.answers)

    def start_database(self) -> None:
        self.database.start()
        self.database.wait_until(lambda: self.query("select 1", check=False) == "1")

    def answers(self) -> bool:
        """Whether the MLflow server answers, if only to refuse who has no password."""
        try:
            return why_away(self.address) is None
        except ValueError:
            return True

    def query(self, sql: str, check: bool = True) -> str:
        """The rows of a query, one per line."""
        return self._run("psql", "--no-align", "--tuples-only", "--command", sql, check=check).strip()

    def dump(self) -> str:
        """All tables of the database as text."""
        return self._run("pg_dump", "--inserts")

    def _run(self, program: str, *arguments: str, check: bool = True) -> str:
        command = [self.programs[program], *self.connection(), "--dbname", DATABASE, *arguments]
        environment = os.environ | {"PGPASSWORD": self.secrets["database"]}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def connection(self) -> list[str]:
        port = self.database.command[self.database.command.index("-p") + 1]
        return ["--host", "127.0.0.1", "--port", port, "--username", DATABASE_USER]


@contextmanager
def serve_postgres(packages: Path) -> Iterator[Servers]:
    """Both servers, in a folder of their own that the database's user can enter."""
    programs = {name: find_program(name) for name in ("initdb", "postgres", "psql", "pg_dump", "createdb")}
    user = None
    if os.geteuid() == 0:  # as whom PostgreSQL does not run
        user = "postgres"
        if user not in (entry.pw_name for entry in pwd.getpwall()):
            pytest.skip("needs the user postgres, whom Debian's package makes, since PostgreSQL does not run as root")
    folder = Path(tempfile.mkdtemp(prefix="wsgcn-postgres-"))
    words = {"database": secrets.token_hex(12), "mlflow": secrets.token_hex(12)}
    servers = None
    try:
        servers = _prepare(folder, user, programs, words, packages)
        servers.start_database()
        servers.start_mlflow()
        yield servers
    finally:
        for process in (servers.mlflow, servers.database) if servers else ():
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, user: str | None, programs: dict, words: dict, packages: Path) -> Servers:
    data, given = folder / "data", folder / "given"
    given.write_text(words["database"])
    if user:
        for path in (folder, given):
            shutil.chown(path, user)
    plain = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    command = [programs["initdb"], "-D", str(data), "-U", DATABASE_USER, "--auth", "scram-sha-256", "--no-sync"]
    done = subprocess.run([*command, "--pwfile", str(given)], cwd=folder, user=user, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    given.unlink()
    port, own_port = free_port(), free_port()
    command = [programs["postgres"], "-D", str(data), "-p", str(port), "-k", str(folder)]
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "log_statement=all"]  # the log would show a password
    database = Process([*command, *options], plain, folder, folder / "postgres.log", user)
    database.start()
    connect = ["--host", "127.0.0.1", "--port", str(port), "--username", DATABASE_USER]
    end = time.monotonic() + START_S
    with_password = plain | {"PGPASSWORD": words["database"]}
    create = [programs["createdb"], *connect, DATABASE]
    while subprocess.run(create, env=with_password, capture_output=True).returncode:
        assert database.running.poll() is None and time.monotonic() < end, database.log.read_text()
        time.sleep(0.5)
    database.stop(signal.SIGINT)
    uri = f"postgresql://{DATABASE_USER}@127.0.0.1:{port}/{DATABASE}"
    (folder / "basic_auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {uri}\nadmin_username = {ADMIN}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    environment = with_password | {
        "PYTHONPATH": str(packages),
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": words["mlflow"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(12),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--backend-store-uri", uri]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "2"]
    command += ["--host", "127.0.0.1", "--port", str(own_port)]
    mlflow = Process(command, environment, folder, folder / "mlflow.log")
    return Servers(folder, database, mlflow, f"http://127.0.0.1:{own_port}", words, programs)
