"""Nouns of an import: what a document describes, whatever its format, and what comes out of reading it."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import field

from onestop.gateway.manifest import Words
from onestop.onboarding.importing.rules_styles import Style

Format = Literal["openapi-2.0", "openapi-3.0", "openapi-3.1", "wsdl-1.1"]
Level = Literal[
    "note", "warning", "error"
]  # error: the spot is left out of the manifest, or it keeps it from being made
QuestionKind = Literal["choice", "choices", "text", "number", "words"]
OperationKind = Literal["query", "submit", "status", "lookup", "cancel", "probe"]
Place = Literal["path", "query", "header", "cookie", "form", "body"]


class Spot(msgspec.Struct, frozen=True):
    """Where in which file something stands: a JSON pointer or an XPath, and the line where it is known."""

    pointer: str = ""
    file: str = ""
    line: int | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the document that its reader should know, and what to do about it."""

    code: str
    level: Level
    spot: Spot
    says: Words
    fix: Words


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the document does not tell. Without an answer the default holds; without one it stays open if required."""

    id: str
    about: str  # JSON pointer or XPath into the document; empty: the department itself
    question: Words
    kind: QuestionKind
    why: Words
    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    answered: bool = False
    problem: Words | None = None  # why the answer that was given cannot be used


class PersonalField(msgspec.Struct, frozen=True, kw_only=True):
    """A member that holds something about a person, and by what it was recognised."""

    place: Literal["request", "reply"]
    path: str
    what: str  # id_number, name, phone, …
    sensitivity: Literal["personal", "sensitive"]
    why: Words


class FoundOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the document as it would be taken."""

    id: str
    kind: OperationKind
    sure: bool  # False: the kind is a guess that a person should look at
    method: str
    path: str
    title: Words
    about: str  # pointer or XPath
    taken: bool
    why: Words  # why this kind
    personal: tuple[PersonalField, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What reading one document gave."""

    format: Format
    title: str
    findings: tuple[Finding, ...]
    operations: tuple[FoundOperation, ...]
    questions: tuple[Question, ...]
    open: tuple[str, ...]  # ids of required questions that have no answer yet
    manifest_id: str
    manifest_toml: str | None  # None while a required question is open
    readme: str | None
    examples: dict[str, str]  # file name below `examples/` to its text
    environment: dict[str, str]  # what the environment file must tell for this adapter, each with what it is


# --- the document, whatever its format ------------------------------------------------------------------------------


class Shape(msgspec.Struct, kw_only=True):
    """A schema flattened for mapping: references followed, variants joined, circles and depth cut."""

    kind: Literal["object", "list", "value", "any"] = "any"
    members: dict[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    item: "Shape | None" = None
    type: str = "string"
    format: str = ""
    enum: tuple[Any, ...] = ()
    pattern: str = ""
    least: float | None = None  # items of a list, characters of a text, or the smallest number
    most: float | None = None  # the largest number
    nullable: bool = False
    read_only: bool = False
    write_only: bool = False
    text: str = ""  # title and description
    content_type: str = ""  # of a text that holds something else
    content: "Shape | None" = None  # what such a text holds
    example: Any = None
    has_example: bool = False
    pointer: str = ""
    cut: bool = False  # a circle or the bound ended it here
    namespace: str = ""  # XML: of the element; empty: unqualified
    prefix: str = ""  # XML: as the document declares it
    attribute: bool = False  # XML
    xml_text: bool = False  # XML: what stands in the element beside its attributes
    xml_name: str = ""  # XML: of the element, where it is not the member's own
    wrapped: bool = False  # XML: a list has an element around it
    style: Style = ""  # of a parameter or a form's member: how a list or a table is written


class Parameter(msgspec.Struct, kw_only=True):
    """One value that a request carries outside its body."""

    name: str
    place: Place
    required: bool
    shape: Shape
    pointer: str
    text: str = ""


class Media(msgspec.Struct, kw_only=True):
    """One form that a body may have."""

    type: str  # as written, lower case, parameters kept
    shape: Shape
    examples: list[tuple[str, Any]] = field(default_factory=list)


class Answer(msgspec.Struct, kw_only=True):
    """One documented answer."""

    status: str  # "200", "2XX", "default"
    media: list[Media]
    headers: tuple[str, ...]
    text: str
    pointer: str
    header_notes: dict[str, str] = field(default_factory=dict)  # what is said and shown of each header
    types: tuple[str, ...] = ()  # media types that the document gives to every answer, described or not


class Soap(msgspec.Struct, kw_only=True, frozen=True):
    """What a SOAP binding says of one operation."""

    version: Literal["1.1", "1.2"]
    action: str
    rpc: bool
    wrapper: str  # local name of the request's outermost element; empty: several bare parts
    namespace: str
    faults: tuple[str, ...] = ()
    header: Shape | None = None


class Described(msgspec.Struct, kw_only=True):
    """One operation as its document describes it, without its bodies: `Source.detail` reads those."""

    pointer: str
    method: str
    path: str
    name: str  # operationId, or made from method and path
    text: str  # summary, else the first sentence of the description
    about: str = ""  # the whole description
    extensions: str = ""  # what `x-…` members say of limits
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    security: tuple[Mapping[str, tuple[str, ...]], ...] | None = None  # alternatives; None: the document's
    soap: Soap | None = None
    parameters: list[Parameter] = field(default_factory=list)
    bodies: list[Media] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    callbacks: list[Media] = field(default_factory=list)  # what the other side will send of itself
    raw: Any = None  # the reader's own note
    server: str = ""  # its own address, where it does not stand at the document's


class Scheme(msgspec.Struct, kw_only=True, frozen=True):
    """One way to prove who calls, as declared."""

    name: str
    kind: Literal["api_key", "basic", "bearer", "oauth2", "openid", "mutual_tls", "ws_security", "other"]
    pointer: str
    place: str = ""
    parameter: str = ""
    flows: Mapping[str, str] = {}  # flow to token address
    scopes: tuple[str, ...] = ()
    says: str = ""  # bearerFormat, http scheme
    about: str = ""  # what the document says of it


class Description(msgspec.Struct, kw_only=True):
    """A whole document in one form."""

    format: Format
    title: str
    version: str
    contact: str
    servers: list[str]
    schemes: dict[str, Scheme]
    security: tuple[Mapping[str, tuple[str, ...]], ...]
    operations: list[Described]
    about: str = ""  # what it says of itself, of its schemes and its tags
