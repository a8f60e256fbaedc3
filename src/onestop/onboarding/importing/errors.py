"""How an import can fail as a whole. What is wrong inside a readable document is a finding, not one of these."""

from onestop.errors import FieldError, Invalid, TooLarge, Unavailable


class DocumentUnusable(Invalid):
    """The document cannot be read at all; `reason` is a key below `import.refused`, the rest says where and what."""

    code = "import.document_unusable"

    def __init__(self, reason: str, *, file: str = "", line: int | None = None, **params: str | int) -> None:
        self.reason, self.file, self.line = reason, file, line
        where = {"file": file, "line": "" if line is None else str(line)}
        told = {name: str(value)[:200] for name, value in params.items()}
        self.told = where | told  # what the sentence names
        errors = (FieldError(pointer="/document", code=f"import.{reason}", params=where | told),)
        super().__init__(reason, errors=errors)


class DocumentTooLarge(TooLarge):
    """More bytes than an import takes."""

    code = "import.too_large"


class ImportTooSlow(Invalid):
    """The document kept the reader busy beyond its time or memory, and the reader was ended."""

    code = "import.too_slow"


class ImportBusy(Unavailable):
    """As many imports run as may."""

    code = "import.busy"
