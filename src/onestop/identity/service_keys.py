"""The keys onestop signs its bearer tokens with: made once, sealed in a table, shared by all instances."""

from typing import Any, Final

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.errors import Internal
from onestop.identity import store_signing_keys as store
from onestop.identity import tokens
from onestop.identity.signing import Ed25519SigningKey, SigningKey
from onestop.identity.sm2_tokens import Sm2SigningKey

_RELOAD_STEP_S = 5.0
_KINDS: Final[dict[str, type[SigningKey] | type[Sm2SigningKey]]] = {
    kind.algorithm: kind for kind in (SigningKey, Ed25519SigningKey, Sm2SigningKey)
}


class NoSigningKey(Internal):
    """The table of signing keys has no active key although one was just written."""

    code = "identity.no_signing_key"


class SigningKeys:
    """The active key of one purpose, and the public keys of those retired within a week."""

    def __init__(
        self,
        pool: Pool,
        keys: Keys,
        purpose: str = "bearer",
        algorithm: str = SigningKey.algorithm,
        *,
        public_s: float = 0.0,
    ) -> None:
        """`public_s`: for how long a new key is published before it signs, where others look its public half up."""
        self._pool, self._keys, self._purpose, self._algorithm = pool, keys, purpose, algorithm
        self._public_s = public_s
        self._active: SigningKey | Sm2SigningKey | None = None
        self._public: dict[str, Any] = {"keys": []}
        self.ring = tokens.Keyring([])
        self.loaded_at = float("-inf")  # by `clock.monotonic`

    async def load(self) -> None:
        """Read the keys, making the first one, or another where the algorithm is no longer the one wanted.

        Safe for several starters at once.

        Raises:
            Sm2Missing: the keys are of SM2, and the package for it is not installed.
        """
        rows = await store.signing_keys(self._pool, self._purpose)
        if not rows or rows[0].retired:
            await self._make(self._pool)
            rows = await store.signing_keys(self._pool, self._purpose)
        if not rows or rows[0].retired:
            raise NoSigningKey
        if rows[0].public_jwk["alg"] != self._algorithm:
            await self._replace(rows[0].kid)
            rows = await store.signing_keys(self._pool, self._purpose)
        chosen = rows[1] if len(rows) > 1 and rows[0].age_s < self._public_s else rows[0]
        private = self._keys.unseal(chosen.private_jwk, signing_key_context(chosen.kid))
        self._active = _KINDS[chosen.public_jwk["alg"]].load(chosen.kid, private)
        self._public = {"keys": [row.public_jwk for row in rows]}
        self.ring = tokens.Keyring.read(self._public)
        self.loaded_at = clock.monotonic()

    async def reload(self) -> bool:
        """Read the keys again after a token named an unknown one; False where that was done a moment ago."""
        if clock.monotonic() - self.loaded_at < _RELOAD_STEP_S:
            return False
        await self.load()
        return True

    async def rotate(self) -> str:
        """Let a new key sign from now on and return its id; what the old one signed still verifies for seven days."""
        rows = await store.signing_keys(self._pool, self._purpose)
        await self._replace(rows[0].kid if rows else self.active.kid)
        await self.load()
        return str(self._public["keys"][0]["kid"])

    async def _replace(self, kid: str) -> None:
        """Retire a key and make the next, unless somebody else just did."""
        async with self._pool.acquire() as db, db.transaction():
            if await store.retire_key(db, self._purpose, kid):
                await self._make(db)

    @property
    def active(self) -> SigningKey | Sm2SigningKey:
        """The key that signs."""
        if self._active is None:
            raise NoSigningKey
        return self._active

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK set."""
        return self._public

    async def _make(self, db: Any) -> None:
        fresh = _KINDS[self._algorithm].generate()
        sealed = self._keys.seal(fresh.private_bytes(), signing_key_context(fresh.kid))
        await store.insert_key(db, fresh.kid, self._purpose, fresh.algorithm, fresh.public_jwk(), sealed)


def signing_key_context(kid: str) -> str:
    """Return what a private key is sealed for."""
    return f"signing_keys.private_jwk:{kid}"
