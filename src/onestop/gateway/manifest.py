"""The manifest: everything onestop knows of one department's system, as data. docs/manifest.md explains each part.

A manifest without a time limit, a legal basis or an answer to "is it safe to send twice?" is refused.
"""

import tomllib
from collections.abc import Collection
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from onestop.gateway.manifest_auth import (
    Always,
    ApiKey,
    Auth,
    Basic,
    ClientCredentials,
    HttpSignature,
    Jose,
    Login,
    NoAuth,
    OnestopToken,
    Params,
    Protection,
    SelfSigned,
    Signed,
    Sm4,
    Tls,
    WsSecurity,
)
from onestop.gateway.manifest_base import (
    BadManifest,
    Division,
    Name,
    Network,
    Sensitivity,
    Strict,
    Tree,
    Version,
    Words,
)
from onestop.gateway.manifest_callback import Callback, CallbackReply, ToldBy
from onestop.gateway.manifest_operations import (
    Each,
    ErrorCase,
    Example,
    Lookup,
    Operation,
    OutcomeMap,
    Paging,
    Poll,
    Reply,
    Request,
    Step,
)

if TYPE_CHECKING:
    from onestop.gateway.lint.findings import Finding

__all__ = (
    "Always", "ApiKey", "Auth", "BadManifest", "Basic", "Callback", "CallbackReply", "ClientCredentials", "Department",
    "Each", "ErrorCase", "Example", "Files", "HttpSignature", "Jose", "Limits", "Login", "Lookup", "Manifest", "NoAuth",
    "OnestopToken", "Operation", "OutcomeMap", "Paging", "Params", "Poll", "Probe", "Protection", "Reply", "Request",
    "SelfSigned", "Sensitivity", "Signed", "Sm4", "Step", "Strict", "System", "Tls", "ToldBy", "Tree", "Window",
    "Words", "WsSecurity", "load", "parse", "parse_serving",
)  # fmt: skip


class System(Words, frozen=True, kw_only=True):
    """The system behind the adapter, as the register of systems knows it."""

    id: str


class Department(Strict, frozen=True, kw_only=True):
    """Who answers for this system."""

    code: Annotated[str, Meta(pattern=r"^[0-9A-HJ-NPQRTUWXY]{18}$")]  # unified social credit code 统一社会信用代码
    name: Words
    officer: Words  # the accountable post 责任人, not a person's name
    contact: str
    system: System
    network: Network = "extranet"


class Limits(Strict, frozen=True, kw_only=True):
    """What the department can bear."""

    concurrency: Annotated[int, Meta(ge=1, le=512)] = 32
    waiting: Annotated[int, Meta(ge=0, le=4096)] = 64  # calls that may wait for a free place
    per_second: Annotated[float, Meta(gt=0)] | None = None
    adaptive: bool = True  # find the limit the department really bears, below `concurrency`
    window_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.2  # of the places, kept for the counter's lane alone


class Window(Strict, frozen=True, kw_only=True):
    """A maintenance window 维护窗口 that comes again every week, in China Standard Time; it may go past midnight."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]  # on which it begins
    begins: time
    ends: time
    note: Words | None = None


class Probe(Strict, frozen=True, kw_only=True):
    """How the system's health is asked for without anybody's data."""

    method: Literal["GET", "HEAD", "POST"] = "GET"
    path: Annotated[str, Meta(pattern=r"^/[^\s#]*$", max_length=200)]
    accept: tuple[int, ...] = (200, 204)
    every_s: Annotated[float, Meta(ge=5, le=3600)] = 60.0


class Files(Strict, frozen=True, kw_only=True):
    """How effects leave and answers come by file, for operations with `answer = "file"`."""

    codec: Literal["csv", "jsonl"] = "csv"
    charset: Literal["utf-8", "utf-8-sig", "gb18030"] = "utf-8"
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 3600.0  # a file is closed so long after its first row
    most_rows: Annotated[int, Meta(ge=1, le=100_000)] = 5000


class Manifest(Strict, frozen=True, kw_only=True):
    """A department's system, whole."""

    manifest: Literal[1]
    id: Name
    version: Version
    region: Division
    department: Department
    auth: Auth = NoAuth()
    always: Always = Always()
    tls: Tls = Tls()
    impact_assessment: str | None = None  # reference of the personal-data impact assessment 个人信息保护影响评估
    callback: Callback | None = None
    limits: Limits = Limits()
    windows: tuple[Window, ...] = ()
    probe: Probe | None = None
    files: Files | None = None
    codes: dict[str, dict[str, str]] = {}  # their codes into ours, for `code(name)`
    desk: bool = False  # no system at all: a person answers
    operations: list[Operation]

    def operation(self, name: str) -> Operation:
        """Return one operation by its id.

        Raises:
            BadManifest: there is none of that name.
        """
        for operation in self.operations:
            if operation.id == name:
                return operation
        raise BadManifest(f"{self.id} has no operation {name}")


# Rules that came after manifests were on line that break them: such a manifest is refused where it is handed in, linted
# or moved, and goes on where it serves already, for a department's bad sentence is a smaller harm than no department.
LATER_RULES: Final = frozenset(("ADP-045", "ADP-046", "ADP-047", "ADP-048", "ADP-049", "ADP-155", "ADP-156"))


def parse(data: bytes, name: str = "manifest.toml") -> Manifest:
    """Read one manifest; `name` is the file's, and `<folder>/manifest.toml` must name the adapter's id.

    Raises:
        BadManifest: the linter finds an error; the sentence is the first one's, `rule` its number.
    """
    manifest, remark = _read(data, name, frozenset())
    assert remark is None  # nothing was passed over
    return manifest


def parse_serving(data: bytes, name: str = "manifest.toml") -> tuple[Manifest, str | None]:
    """Read a manifest that serves already, and the sentence of an error that only a later rule finds; None: none does.

    Raises:
        BadManifest: as `parse`, but for `LATER_RULES`.
    """
    return _read(data, name, LATER_RULES)


def _read(data: bytes, name: str, passed_over: Collection[str]) -> tuple[Manifest, str | None]:
    from onestop.gateway.lint.linter import lint, worst  # the rules read the structs of this module

    found = lint(data, name)
    bad = worst(one for one in found if one.rule not in passed_over)
    if bad is not None:
        raise BadManifest(_sentence(bad, name), rule=bad.rule)
    late = worst(found)
    manifest = msgspec.convert(tomllib.loads(data.decode("utf-8")), Manifest)
    return manifest, _sentence(late, name) if late is not None else None


def _sentence(found: "Finding", name: str) -> str:
    where = f"{name}:{found.line}" if found.line else name
    place = f" {found.where}:" if found.where else ""
    return f"{where}:{place} {found.says('en')} ({found.rule})"


def load(folder: Path) -> dict[str, Manifest]:
    """Read every `<adapter>/manifest.toml` below `folder`, by adapter id, in order of name.

    Raises:
        BadManifest: one cannot be used, or a folder's name differs from its manifest's id.
    """
    found: dict[str, Manifest] = {}
    for path in sorted(folder.glob("*/manifest.toml")):
        manifest = parse(path.read_bytes(), f"{path.parent.name}/manifest.toml")
        found[manifest.id] = manifest
    return found
