"""The reading process: one job on its input, one result on its output, and no more time and memory than it is given."""

import resource
import sys

import msgspec

from onestop.onboarding.importing.errors import DocumentTooLarge, DocumentUnusable
from onestop.onboarding.importing.service import import_document
from onestop.onboarding.importing.views import Job, Result

_MEMORY = 1_500_000_000  # address space, of which most is never touched


def main(limit_s: int) -> None:
    """Do one job."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        imported = import_document(job.data, job.name, job.answers, job.companions, region=job.region)
        result = Result(kind="imported", imported=imported)
    except DocumentUnusable as fault:
        result = Result(kind="unusable", reason=fault.reason, file=fault.file, line=fault.line, told=fault.told)
    except DocumentTooLarge as fault:
        result = Result(kind="too_large", told={name: str(value) for name, value in fault.params.items()})
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
