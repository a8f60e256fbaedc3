"""What a system can be asked: the manifest's `[[operations]]`, with requests, replies, steps, pages and errors."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from onestop.gateway.manifest_auth import Protection
from onestop.gateway.manifest_base import Expression, Method, Name, Path, Seconds, Sensitivity, Strict, Tree, Words
from onestop.identity.models import Level

RequestCodec = Literal["none", "json", "form", "xml", "soap", "soap12", "csv", "text", "multipart"]
ResponseCodec = Literal["json", "xml", "soap", "csv", "text", "form", "binary", "none"]
Charset = Literal["utf-8", "gb18030", "iso-8859-1"]
Idempotent = Literal["safe", "key", "lookup", "none"]


class Request(Strict, frozen=True, kw_only=True):
    """Our words into theirs."""

    path: dict[str, str] = {}  # values of the {places} in the operation's path
    query: Tree = {}
    headers: dict[str, str] = {}
    body: Tree | None = None  # json, form, multipart; csv: one row; text: {text = …}
    template: str | None = None  # xml, soap: text with {{ expression }} places, escaped for XML
    header_template: str | None = None  # soap: the content of the SOAP header, likewise
    omit_null: bool = False  # members whose expression gives nothing are left out instead of sent as null or empty
    protection: Protection | None = None


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
    own_id: str | None = None  # expression giving the department's own identifier of the person asked about
    key: str | None = None  # expression giving back our key, in callbacks and look-ups
    reference: str | None = None  # the department's own number for what we sent
    reference_header: str | None = None  # the same, where a header tells it, such as Location
    outcome: OutcomeMap | None = None
    reason: str | None = None
    fields: Tree = {}
    header_fields: dict[str, str] = {}  # further fields, each from the header of that name
    person_numbers: tuple[str, ...] = ("id_number",)  # members of `fields`, at any depth, that are masked when shown
    sensitivity: dict[str, Sensitivity] = {}  # members of `fields` that are not as sensitive as the operation
    later: str | None = None  # expression: the department says when the answer will be there (an instant, or seconds)
    protection: Protection | None = None


class ErrorCase(Strict, frozen=True, kw_only=True):
    """One of the department's own ways to say no; every condition that is given must hold."""

    outcome: Literal["not_found", "denied", "invalid", "declined", "correction", "busy", "down"]
    status: int | None = None
    path: str | None = None  # a value inside the body: with `equals`, `one_of` or `exists`
    equals: str | int | bool | None = None
    one_of: tuple[str | int, ...] = ()
    exists: bool | None = None
    reason: str | None = None  # expression giving the department's own sentence


class Poll(Strict, frozen=True, kw_only=True):
    """When to ask for an answer that comes later."""

    operation: Name
    first_s: float = 1.0
    every_s: float = 5.0
    for_s: float = 30 * 86400.0


class Paging(Strict, frozen=True, kw_only=True):
    """How a long answer is asked for page by page; the pages' items are read as one list.

    page, offset, cursor: `parameter` carries the page's number, the place of the first item that is wanted, or `next`;
    in a body both parameters may be paths, such as `page.no`. A template reads them itself: `{{ page.value }}`.
    next: `next` gives the next page's address. link: the Link header does (RFC 8288). An address of another host, or
    above the system's own path, is a bad reply.
    """

    style: Literal["page", "offset", "cursor", "next", "link"]
    items: Expression  # the list, in each page's body
    place: Literal["query", "body"] = "query"
    parameter: str = "page"
    first: int | None = None  # where counting begins; None: pages at 1, offsets at 0
    size_parameter: str | None = None
    size: Annotated[int, Meta(ge=1, le=1000)] = 50
    next: Expression | None = None
    total: Expression | None = None  # count of all items, where told: ends the asking
    most_pages: Annotated[int, Meta(ge=1, le=20)] = 5

    @property
    def begins(self) -> int:
        """The number of the first page, or the place of the first item."""
        return self.first if self.first is not None else int(self.style != "offset")


class Lookup(Strict, frozen=True, kw_only=True):
    """How a step is found again by our key, after an unclear outcome.

    Only a declared word counts as "it never arrived": an accepted reply without `found`, or one of `errors`. A
    refusal that nothing declares, a 404 of some proxy among them, leaves the step unclear.
    """

    method: Literal["GET", "POST"] = "GET"
    path: Path
    request: Request = Request()
    request_codec: RequestCodec = "none"
    found: Expression  # over the reply's body; nothing: the step never arrived
    save: Tree = {}  # the names its step saves, from this reply's body, which has another shape
    save_headers: dict[str, str] = {}  # likewise, each from the header of that name
    errors: tuple[ErrorCase, ...] = ()  # outcome not_found: the step never arrived


class Step(Strict, frozen=True, kw_only=True):
    """One call of an operation that needs several; what it saves is `steps.<id>.<name>` for the later ones.

    After a failure the operation goes on at the step where it stopped.
    """

    id: Name
    method: Method = "POST"
    path: Path
    idempotent: Idempotent
    total_s: Seconds | None = None  # None: the operation's
    request: Request = Request()
    request_codec: RequestCodec | None = None  # None: the operation's
    response_codec: ResponseCodec | None = None
    accept: tuple[int, ...] | None = None
    skip_when: Expression | None = None  # over the request's values: where it gives something the step is left out
    save: Tree = {}  # over the reply's body
    save_headers: dict[str, str] = {}  # each from the header of that name
    errors: tuple[ErrorCase, ...] = ()
    lookup: Lookup | None = None  # with idempotent = "lookup"


class Example(Strict, frozen=True, kw_only=True):
    """A recorded exchange, with invented people only: what the simulator plays and conformance compares with."""

    name: Name
    values: dict[str, Any] = {}  # what the request's expressions read: subject, payload, key, …
    status: int = 200
    headers: dict[str, str] = {}
    body: str = ""
    base64: bool = False  # `body` is base64, for what is not UTF-8 text
    outcome: str = "ok"  # the kind of answer it is read as


class Operation(Strict, frozen=True, kw_only=True):
    """One thing the system can be asked."""

    id: Name
    kind: Literal["query", "submit", "status", "lookup", "cancel"]
    title: Words
    method: Method = "POST"
    path: Path = "/"
    purpose: Words
    basis: Words  # the legal basis for asking
    idempotent: Idempotent
    total_s: Seconds
    connect_s: Seconds = 0.5
    want: Name | None = None  # what a citizen calls the answer of this query
    # The query says for whom the person asked about may act by law; `reply.fields.principals` lists them.
    mandate: Literal["guardian", "officer"] | None = None
    request_codec: RequestCodec = "json"
    response_codec: ResponseCodec = "json"
    charset: Charset = "utf-8"
    content_type: str | None = None
    accept_type: str | None = None  # the Accept header; None: as the response codec
    authenticate: bool = True  # False: this operation is open, no credentials are sent
    sensitivity: Sensitivity = "personal"
    min_level: Level = 0  # how surely the person must have signed in for whom this is asked or sent
    max_request_bytes: Annotated[int, Meta(ge=64, le=8_388_608)] = 262_144
    max_reply_bytes: Annotated[int, Meta(ge=64, le=8_388_608)] = 262_144
    fresh_s: Annotated[float, Meta(gt=0)] | None = None  # an answer changed longer ago than this is `stale`
    cache_s: Annotated[float, Meta(ge=0, le=86_400)] = 0  # how long an answer may be given again to the same subject
    stale_s: Annotated[float, Meta(ge=0, le=604_800)] = 0  # how old an answer may be given, as stale, while it is down
    late_s: Seconds = 10.0  # how long a query is still waited for after its caller went away with a partial answer
    retries: Annotated[int, Meta(ge=0, le=2)] = 1  # within one call, where repeating is safe
    concurrency: Annotated[int, Meta(ge=1, le=512)] | None = None  # of this operation alone
    per_second: Annotated[float, Meta(gt=0)] | None = None
    accept: tuple[int, ...] = (200,)
    request: Request = Request()
    reply: Reply = Reply()
    steps: tuple[Step, ...] = ()  # several calls: `method`, `path`, `request` are theirs, `reply` reads what they saved
    paging: Paging | None = None
    errors: tuple[ErrorCase, ...] = ()
    answer: Literal["now", "callback", "poll", "pull", "file"] = "now"
    heard_as: Name | None = None  # the operation whose `reply` reads callbacks about this one; None: its own
    about: Expression | None = None  # over the request's values: whose number `reply.subject` must give in a callback
    poll: Poll | None = None
    answer_within_s: Annotated[float, Meta(ge=1)] = 30 * 86400.0  # then a person asks what became of the answer
    lookup: Name | None = None  # the operation that finds an effect by our key
    # How long after a call that brought no answer it may still take effect there: a look-up is not believed before.
    settles_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None  # None: until the call's own end, total_s
    schema: dict[str, Any] | None = None  # JSON Schema of the accepted reply's body, for conformance and drift
    examples: tuple[Example, ...] = ()
