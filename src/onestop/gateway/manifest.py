"""The manifest: everything onestop knows of one department's system, as data. docs/manifest.md explains each part.

A manifest without a time limit, a legal basis or an answer to "is it safe to send twice?" is refused.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from onestop.errors import Actor, Invalid

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
Version = Annotated[str, Meta(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")]
Seconds = Annotated[float, Meta(gt=0, le=60)]
Division = Annotated[str, Meta(pattern=r"^\d{6}$")]
Tree = dict[str, Any]  # the leaves are expressions: see mapping.py


class BadManifest(Invalid):
    """A manifest cannot be used; the sentence says which file and why."""

    code = "manifest.bad"
    who_acts: ClassVar[Actor] = "department"


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the manifest; an unknown key is a mistake."""


class Words(Strict, frozen=True, kw_only=True):
    """A text in both languages."""

    zh: str
    en: str


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
    network: Literal["extranet", "intranet", "private"] = "extranet"  # 政务外网 · 内网 · 专网


class NoAuth(Strict, frozen=True, kw_only=True, tag_field="kind", tag="none"):
    """The system asks for nothing."""


class ApiKey(Strict, frozen=True, kw_only=True, tag_field="kind", tag="api_key"):
    """A fixed key; secret `api_key`."""

    place: Literal["header", "query"]
    name: str


class Basic(Strict, frozen=True, kw_only=True, tag_field="kind", tag="basic"):
    """HTTP Basic; secrets `username`, `password`."""


class ClientCredentials(Strict, frozen=True, kw_only=True, tag_field="kind", tag="oauth2_client_credentials"):
    """OAuth 2 client credentials; secrets `client_id`, `client_secret`."""

    token_path: str
    scope: str = ""
    client_auth: Literal["basic", "post"] = "basic"


class Signed(Strict, frozen=True, kw_only=True, tag_field="kind", tag="signed"):
    """App key, timestamp and signature, as Chinese platforms ask; secrets `app_key`, `app_secret`.

    `base` and the values of `headers` may use {app_key} {timestamp} {timestamp_ms} {nonce} {method} {path} {body}
    {body_sha256} and, in headers only, {signature}.
    """

    base: str
    headers: dict[str, str]
    digest: Literal["hmac-sha256"] = "hmac-sha256"
    encoding: Literal["hex", "base64"] = "hex"


Auth = NoAuth | ApiKey | Basic | ClientCredentials | Signed


class Callback(Strict, frozen=True, kw_only=True):
    """How the department's own answers are known to be the department's; secret `callback_secret`."""

    base: str = "{timestamp}\n{nonce}\n{body}"
    timestamp_header: str = "X-Timestamp"
    nonce_header: str = "X-Nonce"
    signature_header: str = "X-Signature"
    max_skew_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    operation: Name  # the submit operation whose `reply` reads the callback's body


class Request(Strict, frozen=True, kw_only=True):
    """Our words into theirs."""

    path: dict[str, str] = {}  # values of the {places} in the operation's path
    query: Tree = {}
    headers: dict[str, str] = {}
    body: Tree | None = None  # json, form
    template: str | None = None  # xml, soap: text with {{ expression }} places, escaped for XML


class Each(Strict, frozen=True, kw_only=True):
    """A list of records."""

    each: str
    fields: Tree


class OutcomeMap(Strict, frozen=True, kw_only=True):
    """Their status value into our outcome."""

    path: str
    map: dict[str, str]
    default: str | None = None  # None: an unknown value is a bad reply, not a guess


class Reply(Strict, frozen=True, kw_only=True):
    """Their words into ours."""

    found: str | None = None  # expression; where it gives nothing there is no record, which is an answer
    as_of: str | None = None  # expression giving an instant
    subject: str | None = None  # expression that must equal the number asked for: nobody else's record is believed
    key: str | None = None  # expression giving back our key, in callbacks and look-ups
    reference: str | None = None  # the department's own number for what we sent
    outcome: OutcomeMap | None = None
    reason: str | None = None
    fields: Tree = {}
    person_numbers: tuple[str, ...] = ("id_number",)  # members of `fields`, at any depth, that are masked when shown


class ErrorCase(Strict, frozen=True, kw_only=True):
    """One of the department's own ways to say no."""

    outcome: Literal["not_found", "denied", "invalid", "declined", "correction", "busy", "down"]
    status: int | None = None
    path: str | None = None  # with `equals`: a value inside the body
    equals: str | int | bool | None = None
    reason: str | None = None  # expression giving the department's own sentence


class Poll(Strict, frozen=True, kw_only=True):
    """When to ask for an answer that comes later."""

    operation: Name
    first_s: float = 1.0
    every_s: float = 5.0
    for_s: float = 30 * 86400.0


class Operation(Strict, frozen=True, kw_only=True):
    """One thing the system can be asked."""

    id: Name
    kind: Literal["query", "submit", "status", "lookup", "cancel"]
    title: Words
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: Annotated[str, Meta(pattern=r"^/[^\s?#]*$", max_length=200)]
    purpose: Words
    basis: Words  # the legal basis for asking
    idempotent: Literal["safe", "key", "lookup", "none"]
    total_s: Seconds
    connect_s: Seconds = 0.5
    want: Name | None = None  # what a citizen calls the answer of this query
    request_codec: Literal["none", "json", "form", "xml", "soap"] = "json"
    response_codec: Literal["json", "xml", "soap"] = "json"
    charset: Literal["utf-8", "gb18030"] = "utf-8"
    content_type: str | None = None
    sensitivity: Literal["public", "personal", "sensitive"] = "personal"
    max_reply_bytes: Annotated[int, Meta(ge=64, le=8_388_608)] = 262_144
    fresh_s: Annotated[float, Meta(gt=0)] | None = None  # an answer changed longer ago than this is `stale`
    late_s: Seconds = 10.0  # how long a query is still waited for after its caller went away with a partial answer
    accept: tuple[int, ...] = (200,)
    request: Request = Request()
    reply: Reply = Reply()
    errors: tuple[ErrorCase, ...] = ()
    answer: Literal["now", "callback", "poll"] = "now"
    poll: Poll | None = None
    lookup: Name | None = None  # the operation that finds an effect by our key


class Limits(Strict, frozen=True, kw_only=True):
    """What the department can bear."""

    concurrency: Annotated[int, Meta(ge=1, le=512)] = 32
    waiting: Annotated[int, Meta(ge=0, le=4096)] = 64  # calls that may wait for a free place
    per_second: Annotated[float, Meta(gt=0)] | None = None


class Manifest(Strict, frozen=True, kw_only=True):
    """A department's system, whole."""

    manifest: Literal[1]
    id: Name
    version: Version
    region: Division
    department: Department
    auth: Auth = NoAuth()
    callback: Callback | None = None
    limits: Limits = Limits()
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


def parse(data: bytes, name: str = "manifest.toml") -> Manifest:
    """Read one manifest.

    Raises:
        BadManifest: not TOML, an unknown or missing key, a value out of bounds, or parts that do not fit together.
    """
    try:
        manifest = msgspec.convert(tomllib.loads(data.decode("utf-8")), Manifest)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise BadManifest(f"{name}: {fault}") from fault
    problem = _inconsistent(manifest)
    if problem:
        raise BadManifest(f"{name}: {problem}")
    return manifest


def load(folder: Path) -> dict[str, Manifest]:
    """Read every `<adapter>/manifest.toml` below `folder`, by adapter id, in order of name.

    Raises:
        BadManifest: one cannot be used, or a folder's name differs from its manifest's id.
    """
    found: dict[str, Manifest] = {}
    for path in sorted(folder.glob("*/manifest.toml")):
        manifest = parse(path.read_bytes(), f"{path.parent.name}/manifest.toml")
        if manifest.id != path.parent.name:
            raise BadManifest(f"{path.parent.name}/manifest.toml: id {manifest.id} is not the folder's name")
        found[manifest.id] = manifest
    return found


def _inconsistent(manifest: Manifest) -> str | None:
    """Return what the types cannot tell is wrong, or None."""
    names = [operation.id for operation in manifest.operations]
    if len(set(names)) != len(names):
        return "two operations have one id"
    for operation in manifest.operations:
        where = f"operation {operation.id}: "
        if operation.kind == "submit" and operation.idempotent == "safe":
            return where + "a submission is never `safe`; say `key`, `lookup` or `none`"
        if operation.kind == "query" and operation.idempotent != "safe":
            return where + "a query is `safe`"
        if operation.answer == "poll" and (operation.poll is None or operation.poll.operation not in names):
            return where + "answers by polling but names no operation to poll"
        if operation.answer == "callback" and manifest.callback is None:
            return where + "answers by callback but the manifest has no [callback]"
        if operation.idempotent == "lookup" and operation.lookup not in names:
            return where + '`idempotent = "lookup"` needs `lookup`, the operation that finds an effect by our key'
        if operation.request_codec in ("xml", "soap") and operation.request.template is None:
            return where + "xml and soap requests need `request.template`"
    return None
