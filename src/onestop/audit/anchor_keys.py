"""The keys that sign anchors, one after another: each is announced by an anchor that the key before it signed.

So whoever trusts one key can follow to all later ones, and a key that nobody announced is worth nothing. The first key
of the suite `intl` is derived from the first root key; all others are random, sealed in the database under a root key
that the database never sees. What a private key says about its public one is sealed with it: a database owner can take
keys away, which ends the signing, but cannot bring in one.
"""

import base64
import json
from datetime import datetime
from typing import Any, Final, Protocol, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import UNSET

from onestop import sm2
from onestop.audit import store_tree
from onestop.audit.anchors import FIRST as FIRST_PREVIOUS
from onestop.audit.anchors import Anchor, LedgerRewritten, PublicKey, digest_of, signed_bytes
from onestop.crypto import Keys
from onestop.db import Connection, Db
from onestop.settings import SuiteName
from onestop.suites import INTL, SM, Suite

_HALF: Final = 32
_anchor_in = msgspec.json.Decoder(Anchor)


class _Private(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a key."""

    suite: SuiteName
    d: bytes
    public: bytes = b""  # of SM2; Ed25519 works it out


class AnchorKey(Protocol):
    """One key that signs anchors."""

    suite: Suite
    public: PublicKey

    def sign_bytes(self, data: bytes) -> bytes:
        """Return the signature over the data, 64 bytes."""
        ...

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Tell whether the signature over the data is this key's."""
        ...


class Ed25519Key:
    """A key of the suite `intl`."""

    suite: Suite = INTL

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self._public = self._key.public_key()
        x = _base64url(self._public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        kid = _thumbprint(INTL, {"crv": "Ed25519", "kty": "OKP", "x": x})
        self.public = PublicKey(alg="EdDSA", crv="Ed25519", kid=kid, kty="OKP", x=x)

    def sign_bytes(self, data: bytes) -> bytes:
        """See `AnchorKey.sign_bytes`."""
        return self._key.sign(data)

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """See `AnchorKey.verifies`."""
        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class Sm2Key:
    """A key of the suite `sm`.

    Raises:
        Sm2Missing: it signs or checks, and the optional package is not installed.
    """

    suite: Suite = SM

    def __init__(self, private: bytes, public: bytes) -> None:
        self._private, self._public = private, public
        x, y = _base64url(public[:_HALF]), _base64url(public[_HALF:])
        kid = _thumbprint(SM, {"crv": "SM2", "kty": "EC", "x": x, "y": y})
        self.public = PublicKey(alg=SM.signature, crv="SM2", kid=kid, kty="EC", x=x, y=y)

    def sign_bytes(self, data: bytes) -> bytes:
        """See `AnchorKey.sign_bytes`."""
        return sm2.sign(self._private, self._public, data)

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """See `AnchorKey.verifies`."""
        return sm2.verify(self._public, data, signature)


def derived_key(keys: Keys) -> Ed25519Key:
    """Return the first key of an installation whose first suite is `intl`; never written anywhere."""
    return Ed25519Key(keys.derive("onestop/anchor/1"))


def sign(
    key: AnchorKey,
    region: str,
    before: Anchor | None,
    *,
    size: int,
    root: bytes,
    at: datetime,
    base: int = 0,
    announces: AnchorKey | None = None,
) -> Anchor:
    """Return the anchor that follows `before`; `announces` is the key that may follow."""
    anchor = Anchor(
        at=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        base=base,
        kid=key.public.kid,
        next=msgspec.UNSET if announces is None else announces.public,
        number=1 if before is None else before.number + 1,
        previous=FIRST_PREVIOUS if before is None else digest_of(before, key.suite),
        region=region,
        root=root.hex(),
        size=size,
        suite=key.suite.name,
    )
    return msgspec.structs.replace(anchor, signature=_base64url(key.sign_bytes(signed_bytes(anchor))))


class KeyRing:
    """A region's keys as they stand in the database, with the derived one."""

    def __init__(self, keys: Keys, region: str, rows: list[store_tree.KeyRow]) -> None:
        self._keys, self._region = keys, region
        self._by_kid: dict[str, AnchorKey] = {}
        self._made: dict[str, datetime] = {}
        self._announced: dict[str, int] = {}
        if not any(row.announced == 0 for row in rows):
            self._add(derived_key(keys))
        for row in rows:
            self._add(_opened(keys, row), row.made_at)
            self._announced[row.kid] = row.announced

    @classmethod
    async def load(cls, db: Db, keys: Keys, region: str) -> Self:
        """Read a region's keys.

        Raises:
            SealBroken: a row was not sealed by this installation.
        """
        return cls(keys, region, await store_tree.anchor_keys(db, region))

    def _add(self, key: AnchorKey, made_at: datetime | None = None) -> None:
        self._by_kid[key.public.kid] = key
        if made_at is not None:
            self._made[key.public.kid] = made_at

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK set, oldest first; old ones stay, since what they signed does."""
        return {"keys": [msgspec.to_builtins(key.public) for key in self._by_kid.values()]}

    def signer(self, anchor: Anchor) -> AnchorKey:
        """Return the key that signed an anchor.

        Raises:
            LedgerRewritten: none of this installation's did.
        """
        key = self._by_kid.get(anchor.kid)
        if key is None or not key.verifies(signed_bytes(anchor), _bytes(anchor.signature)):
            raise LedgerRewritten(f"anchor {anchor.number} was not signed here")
        return key

    def made_at(self, key: AnchorKey) -> datetime | None:
        """Return when a key was announced; None for one that was the first, which is as old as the first anchor."""
        return self._made.get(key.public.kid)

    async def following(self, db: Db, key: AnchorKey) -> AnchorKey | None:
        """Return the key that is announced to follow; None where none is.

        Raises:
            LedgerRewritten: its row names an anchor that does not announce it, or that another key signed.
        """
        newest = next(reversed(self._by_kid.values()))
        if newest is key:
            return None
        kid = newest.public.kid
        told = await store_tree.anchor(db, self._region, self._announced[kid])
        anchor = None if told is None else _anchor_in.decode(told.body)
        if anchor is None or anchor.next is UNSET or anchor.next.kid != kid or self.signer(anchor) is not key:
            raise LedgerRewritten(f"key {kid} is not announced where its row says")
        return newest

    async def first(self, db: Connection, suite: Suite, now: datetime) -> AnchorKey:
        """Return the key that signs the first anchor, in the transaction that writes it."""
        return derived_key(self._keys) if suite is INTL else await self.make(db, suite, 0, now)

    async def make(self, db: Connection, suite: Suite, announced: int, now: datetime) -> AnchorKey:
        """Return a new key, written in the transaction of the anchor numbered `announced`.

        Raises:
            Sm2Missing: the suite is `sm` and the optional package is not installed.
        """
        private, public = (Ed25519PrivateKey.generate().private_bytes_raw(), b"") if suite is INTL else sm2.generate()
        key = Ed25519Key(private) if suite is INTL else Sm2Key(private, public)
        told = msgspec.json.encode(_Private(suite=suite.name, d=private, public=public))
        kid = key.public.kid
        sealed = self._keys.seal(told, key_context(kid))
        await store_tree.insert_anchor_key(db, self._region, kid, announced, now, sealed)
        self._add(key, now)
        self._announced[kid] = announced
        return key


def key_context(kid: str) -> str:
    """Return what a private key is sealed for."""
    return f"audit_keys.sealed:{kid}"


def _opened(keys: Keys, row: store_tree.KeyRow) -> AnchorKey:
    told = msgspec.json.decode(keys.unseal(row.sealed, key_context(row.kid)), type=_Private)
    return Ed25519Key(told.d) if told.suite == "intl" else Sm2Key(told.d, told.public)


def _thumbprint(suite: Suite, members: dict[str, str]) -> str:
    # RFC 7638: members in order of name, nothing between them; so anybody can work the id out from the key.
    return _base64url(suite.hash(json.dumps(members, separators=(",", ":")).encode()))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
