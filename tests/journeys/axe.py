"""Fetches axe-core from npm into tests/.cache, where the journeys find it; it is not kept in the repository."""

import subprocess
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"


def main() -> None:
    """Fetch it."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "axe-core@4", "--silent"], cwd=folder, check=True)
        archive = next(Path(folder).glob("axe-core-*.tgz"))
        with tarfile.open(archive) as files:
            script = files.extractfile("package/axe.min.js")
            assert script is not None
            (CACHE / "axe.min.js").write_bytes(script.read())


if __name__ == "__main__":
    main()
