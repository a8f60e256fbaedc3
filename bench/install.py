"""Puts what the benchmark needs under bench/.home: department simulator, the peers' packages, their tokens."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = HERE / ".home"
CITIZENS = 1000


def say(sentence: str) -> None:
    print(f"bench: {sentence}", flush=True)


def need_wrk() -> None:
    """Take Debian's wrk; as root, install it when it is missing, and say so."""
    if shutil.which("wrk"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("wrk, the load generator, is missing: installing it with apt-get")
        subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL, check=False)
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "wrk"]
        subprocess.run(install, stdout=subprocess.DEVNULL, check=False)
    if not shutil.which("wrk"):
        raise SystemExit("bench: wrk is missing; on Debian: apt-get install wrk")


def newer(made: Path, source: Path) -> bool:
    return made.exists() and made.stat().st_mtime >= source.stat().st_mtime


def need_simulator() -> None:
    if newer(HOME / "deptsim", HERE / "deptsim.c"):
        return
    say("compiling the department simulator")
    compile_it = ["gcc", "-O2", "-Wall", "-Wextra", "-o", str(HOME / "deptsim"), str(HERE / "deptsim.c")]
    subprocess.run(compile_it, check=True)


def need_venv() -> None:
    stamp, wanted = HOME / "venv" / "installed", HERE / "requirements.txt"
    if newer(stamp, wanted):
        return
    say("installing the Python peers")
    subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
    subprocess.run([str(HOME / "venv/bin/python"), "-m", "pip", "install", "-q", "-r", str(wanted)], check=True)
    stamp.touch()


def need_node_modules() -> bool:
    """Return False when there is no Node: then there is no Fastify either."""
    if not (shutil.which("node") and shutil.which("npm")):
        say("Node.js is missing: Fastify is left out")
        return False
    stamp, wanted = HOME / "node" / "installed", HERE / "package.json"
    if not newer(stamp, wanted):
        say("installing the Node peers")
        stamp.parent.mkdir(exist_ok=True)
        shutil.copy(wanted, stamp.parent)
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=stamp.parent, check=True)
        stamp.touch()
    return True


def need_tokens() -> None:
    """Make the peers' key and tokens anew: they are good for a week."""
    directory = HOME / "tokens"
    directory.mkdir(exist_ok=True)
    make = [str(HOME / "venv/bin/python"), str(HERE / "tokens.py"), str(directory), str(CITIZENS)]
    subprocess.run(make, check=True)


def everything(with_node: bool) -> bool:
    """Make all of it; returns whether Fastify can run."""
    HOME.mkdir(exist_ok=True)
    need_wrk()
    need_simulator()
    need_venv()
    has_node = with_node and need_node_modules()
    need_tokens()
    return has_node
