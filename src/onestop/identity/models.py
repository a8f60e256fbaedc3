"""Nouns of identity: sessions, subjects, the providers people sign in at."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Role = Literal["citizen", "clerk", "department", "governance", "operator"]
SessionKind = Literal["cookie", "bearer", "machine"]  # machine: a department's own system, by its key
SubjectKind = Literal["person", "organisation", "staff", "machine", "account"]
# account: a provider's name for somebody of whom it tells no number. staff and machine: `<department>:<number>`.
NumberType = Literal[
    "citizen_id", "hmt_permit", "foreigner_card", "foreigner_card_old", "uscc", "staff", "machine", "account"
]
Level = Annotated[int, Meta(ge=0, le=3, description="Real-name level 实名等级: 0 none, 1 basic, 2 middle, 3 high")]
PersonName = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]

# Browsers take a `__Host-` cookie only when it is Secure, has no Domain and stands on Path=/; so no other host, and
# nothing that came in the clear, can plant one.
SESSION_COOKIE = "__Host-onestop"
FLOW_COOKIE = "__Host-onestop-flow"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts in a request, for whom, in what role; holds no personal data."""

    id: str
    subject_id: str
    actor_id: str
    role: Role
    department: str | None  # whose desk, for clerk and department
    level: int
    kind: SessionKind
    expires_at: datetime
    principal: str  # subject and role in one: what idempotency keys and limits are kept by
    mandate_id: str | None = None  # under which the actor acts for the subject; None: for themselves


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as a provider vouches for them."""

    number_type: NumberType
    number: str
    name: str
    role: Role = "citizen"
    department: str | None = None
    level: int = 1

    def __repr__(self) -> str:
        return f"Identified({self.number_type}, {self.role})"  # never the number or the name


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A person or organisation, opened for the one it belongs to."""

    id: str
    kind: SubjectKind
    number_type: NumberType
    number: str
    name: str
    ids: dict[str, str] = {}  # what departments themselves call the subject, by adapter

    def __repr__(self) -> str:
        return f"Subject({self.id})"


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token for an app, and the session it stands for."""

    token: str
    session: Session


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """What onestop knows of the one who asks."""

    subject_id: str
    name: str
    number_type: NumberType
    number_masked: str
    role: Role
    department: str | None
    level: int
    actor_id: str  # who acts; another one than the subject under a mandate
    mandate: str | None
    session_id: str
    session_expires_at: datetime


class OwnSession(msgspec.Struct, frozen=True, kw_only=True):
    """One of the caller's own sessions."""

    id: str
    kind: SessionKind
    role: Role
    provider: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    device: str  # a browser and a system, or an app's name; empty where nothing is known
    current: bool
    mandate: str | None  # under which somebody acts in it: you for somebody, or somebody for you


class OwnSessions(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's own live sessions, newest first; at most 200."""

    data: list[OwnSession]


class AskToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a developer sends to get a bearer token for a demo person."""

    person: Annotated[str, Meta(min_length=1, max_length=64, examples=["lin"])]
    role: Role = "citizen"
    department: Annotated[str, Meta(pattern=r"^[a-z]{2,20}$")] | None = None
    level: Level = 3  # as if the person had signed in so surely
    refresh: bool = False  # a session of a week, with an access token of minutes and a refresh token
    device: Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""  # shown where sessions are listed

    def __repr__(self) -> str:
        return f"AskToken({self.role})"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token as it is given out, in the words of RFC 6749."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a word, not a secret
    expires_in: int  # seconds
    refresh_token: str | UnsetType = UNSET

    def __repr__(self) -> str:
        return "Token()"


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an app sends when its access token is about to end."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=200)]

    def __repr__(self) -> str:
        return "Refresh()"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions were ended."""

    ended: int


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's name on the sign-in button."""

    zh: str
    en: str


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One OpenID provider people may sign in at, as the identity file tells it."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$")]
    issuer: str
    client_id: str
    client_secret: str = ""
    auth_method: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] = "client_secret_basic"
    client_key: str = ""  # private key, PEM or JWK: what private_key_jwt signs with
    id_token_key: str = ""  # private key, PEM or JWK: given, ID tokens must come encrypted to it
    par: bool = False  # requests are pushed beforehand (RFC 9126), also where the provider asks for it
    dpop: bool = False  # tokens are bound to a key of each sign-in (RFC 9449)
    scopes: tuple[str, ...] = ("openid", "profile")
    level: Level = 1  # where the provider's acr is not in `levels`
    levels: dict[str, Level] = {}  # acr → level
    tells: Literal["number", "pseudonym"] = "number"  # pseudonym: never who somebody is, such as 网号
    roles: tuple[Role, ...] = ("citizen",)  # what its word is taken for; nobody becomes an operator by a stranger's
    label: Label

    def __repr__(self) -> str:
        return f"Provider({self.name})"  # never the secret


class ProviderChoice(msgspec.Struct, frozen=True):
    """A provider as the sign-in page shows it."""

    name: str
    label: Label


class Begun(msgspec.Struct, frozen=True):
    """A sign-in under way: where to send the browser, and the cookie that binds the flow to it."""

    location: str
    browser: str


class Finished(msgspec.Struct, frozen=True):
    """A completed sign-in: the secret for the cookie, the session, the local way back."""

    secret: str
    session: Session
    return_to: str
