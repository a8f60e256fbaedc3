"""Nouns of the provider: clients, purposes, requests, grants, what the endpoints answer."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

AuthMethod = Literal["private_key_jwt", "client_secret_basic", "tls_client_auth", "none"]
Binding = Literal["none", "dpop", "tls"]  # what a client's tokens must be bound to; a DPoP proof binds them always
Claim = Literal["name", "id_number", "id_number_masked", "subject_kind"]

ClientId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{2,39}$", examples=["renshe-portal"])]
Uri = Annotated[str, Meta(min_length=8, max_length=512, pattern=r"^[!-~]+$", examples=["https://rs.example.cn/cb"])]
Words = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["insurance-record"])]
Sector = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,99}$", examples=["rs.example.cn"])]


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client may be told claims for; asked for as a scope of that name."""

    code: Code
    zh: Words
    en: Words
    basis_zh: Words  # the legal basis, as it stands in the person's data use
    basis_en: Words
    claims: Annotated[tuple[Claim, ...], Meta(min_length=1, max_length=4)]


class NewClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A site or front end that shall sign people in here."""

    id: ClientId
    department: Annotated[str, Meta(pattern=r"^[a-z]{2,20}$", examples=["renshe"])]  # who owns it and answers for it
    name_zh: Words
    name_en: Words
    auth_method: AuthMethod
    redirect_uris: Annotated[tuple[Uri, ...], Meta(min_length=1, max_length=20)]
    logout_uris: Annotated[tuple[Uri, ...], Meta(max_length=20)] = ()
    backchannel_logout: Uri | None = None
    sector: Sector | None = None  # None: the one host of its redirect URIs
    purposes: Annotated[tuple[Purpose, ...], Meta(max_length=20)] = ()
    level: Annotated[int, Meta(ge=0, le=3)] = 1  # the least real-name level 实名等级
    binding: Binding = "none"
    keys: dict[str, Any] | None = None  # JWK set, for private_key_jwt
    tls_subject: Annotated[str, Meta(min_length=3, max_length=500)] | None = None  # RFC 4514, for tls_client_auth


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A registered client as its room uses it."""

    id: str
    department: str
    name_zh: str
    name_en: str
    auth_method: AuthMethod
    redirect_uris: list[str]
    logout_uris: list[str]
    backchannel_logout: str | None
    sector: str
    purposes: list[Purpose]
    level: int
    binding: Binding
    keys: dict[str, Any] | None
    tls_subject: str | None
    secret_hash: bytes | None
    old_secret_hash: bytes | None  # None too where its time is over

    def __repr__(self) -> str:
        return f"Client({self.id})"

    @property
    def actor(self) -> str:
        """Who acts, as audit and data use name it."""
        return f"client:{self.id}"


class ClientView(msgspec.Struct, frozen=True, kw_only=True):
    """A client as operators see it; no secret, and no hash of one."""

    id: str
    department: str
    name_zh: str
    name_en: str
    auth_method: AuthMethod
    redirect_uris: list[str]
    logout_uris: list[str]
    backchannel_logout: str | None
    sector: str
    purposes: list[Purpose]
    level: int
    binding: Binding
    tls_subject: str | None
    made_by: str
    made_at: datetime
    changed_at: datetime
    revoked_at: datetime | None


class ClientList(msgspec.Struct, frozen=True, kw_only=True):
    """Clients in order of id."""

    data: list[ClientView]
    next_cursor: str | None
    has_more: bool


class ClientMade(msgspec.Struct, frozen=True, kw_only=True):
    """A client that was registered or has a new secret: the only time the secret is shown."""

    id: str
    secret: str | None  # None where the client proves itself otherwise
    old_secret_until: datetime | None = None


class NewSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the secret a client has holds beside its new one."""

    overlap_h: Annotated[int, Meta(ge=0, le=720)] = 24


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization request that was read and may be answered at its redirect URI."""

    client: str
    redirect_uri: str
    scope: tuple[str, ...]  # `openid` and codes of purposes
    challenge: str
    state: str | None = None
    nonce: str | None = None
    level: int = 0  # what `acr_values` and the client ask for at least
    max_age_s: int | None = None
    silent: bool = False  # prompt=none
    anew: bool = False  # prompt=login
    bound_to: str | None = None  # `jkt:…` of the key the code must be redeemed with
    hint: str | None = None  # the `sub` of an id_token_hint

    def __repr__(self) -> str:
        return f"Asked({self.client})"


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a pushed request is known by from now on (RFC 9126)."""

    request_uri: str
    expires_in: int


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the token endpoint gives, in the words of RFC 6749 and RFC 8693."""

    access_token: str
    token_type: Literal["Bearer", "DPoP", "N_A"]
    expires_in: int  # seconds
    scope: str | None = None
    id_token: str | None = None
    refresh_token: str | None = None
    issued_token_type: str | None = None

    def __repr__(self) -> str:
        return "TokenAnswer()"


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is worth now (RFC 7662); `active` alone where it is worth nothing."""

    active: bool
    client_id: str | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    aud: str | UnsetType = UNSET
    acr: str | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    cnf: dict[str, str] | UnsetType = UNSET
    act: dict[str, str] | UnsetType = UNSET


class OAuthError(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal in the words of RFC 6749, 5.2."""

    error: str
    error_description: str
    error_uri: str
