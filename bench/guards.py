"""What the guards of one request cost, in CPU of one process: python bench/guards.py [--rounds N].

Token and session checks, seals, and the ledger's entry, each the least of several rounds. PyJWT is measured beside the
token check where it can be imported (`pip install --target DIR PyJWT`, `PYTHONPATH=DIR`); the seal's peer is
the library's own cipher without random nonce, header or key choice.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onestop import clock
from onestop.audit import canonical, service
from onestop.audit.models import Use
from onestop.crypto import Keys
from onestop.identity import tokens
from onestop.identity.models import Session
from onestop.identity.service import Sessions
from onestop.rootkeys import FIRST, RootFolder
from onestop.settings import Settings
from onestop.suites import SM

DATA = os.urandom(400)
USE = Use(
    adapter="gongan", basis="b", fields=("name", "address"), operation="ask", outcome="read", purpose="p", version="1"
)


def least_us(work: Callable[[], Any], rounds: int, times: int = 1_000) -> float:
    """Return microseconds of CPU for one call, the least of the rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / times)
    return best * 1e6


def keys_of(suite: Any) -> Keys:
    folder = RootFolder(Path("none"))
    folder.roots[FIRST] = os.urandom(32)
    return Keys(folder, suite)


def token_checks(rounds: int) -> list[tuple[str, float, float | None]]:
    key = tokens.SigningKey.generate()
    ring = tokens.Keyring.read({"keys": [key.public_jwk()]})
    now = int(time.time())
    claims = {"iss": "https://id", "aud": "a", "sub": "s", "sid": "i", "role": "citizen", "iat": now, "exp": now + 900}
    token = key.sign(claims, "at+jwt")
    own = least_us(lambda: tokens.check_access_token(token, ring, issuer="https://id", audience="a"), rounds)
    peer = None
    try:
        import jwt
    except ImportError:
        pass
    else:
        public = jwt.PyJWK(key.public_jwk()).key
        peer = least_us(
            lambda: jwt.decode(token, public, algorithms=["ES256"], audience="a", issuer="https://id"), rounds
        )
    return [("bearer token verified (ES256)", own, peer), ("session from memory", session_check(token, rounds), None)]


def session_check(token: str, rounds: int) -> float:
    sessions = Sessions(None, keys_of("intl"), Settings())  # type: ignore[arg-type]  # nothing here asks the database
    presented = f"Bearer {token}"
    session = Session(
        id="i",
        subject_id="s",
        actor_id="s",
        role="citizen",
        level=3,
        department=None,
        kind="bearer",
        expires_at=clock.real_now(),
        principal="p",
    )
    sessions._polled_at = time.monotonic()  # as if revocations had just been asked for
    sessions._hold(presented, session, 900.0)
    assert sessions.peek(presented, None) is session
    return least_us(lambda: sessions.peek(presented, None), rounds, 10_000)


def seals(rounds: int) -> list[tuple[str, float, float | None]]:
    found: list[tuple[str, float, float | None]] = []
    cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    bare = least_us(lambda: cipher.encrypt(nonce, DATA, b"c"), rounds)
    for suite in ("intl", "sm"):
        keys = keys_of(suite)
        sealed = keys.seal(DATA, "c")
        peer = bare if suite == "intl" else None
        found.append((f"seal 400 bytes ({suite})", least_us(lambda keys=keys: keys.seal(DATA, "c"), rounds), peer))
        opened = least_us(lambda keys=keys, sealed=sealed: keys.unseal(sealed, "c"), rounds)
        found.append((f"open 400 bytes ({suite})", opened, None))
    return found


def entries(rounds: int) -> list[tuple[str, float, float | None]]:
    use = service.use_entry(USE)
    four, at = [use] * 4, clock.real_now()
    whole = canonical.of_use("990100", "use_1", "s", "a", None, None, f"[{','.join(four)}]")

    def row() -> object:
        return service.use_row("990100", four, subject="s", actor="a", object=None, trace_id=None)

    return [
        ("ledger entry of four uses, with its digest", least_us(row, rounds), None),
        ("its leaf under sm, in the worker", least_us(lambda: canonical.leaf(whole, at, SM), rounds), None),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print("| what | µs of CPU | a second | beside its peer |\n| --- | ---: | ---: | ---: |")
    for name, took, peer in [*token_checks(rounds), *seals(rounds), *entries(rounds)]:
        beside = "–" if peer is None else f"{took / peer:.2f} × {peer:.1f} µs"
        print(f"| {name} | {took:.2f} | {1e6 / took:,.0f} | {beside} |")


if __name__ == "__main__":
    main()
