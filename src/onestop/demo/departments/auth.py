"""How departments know their callers: keys compared in constant time, signatures bound to time and used once."""

import base64
import hashlib
import hmac
import time

from onestop.demo.departments.desk import Refusal

SKEW_S = 300.0


def same(shown: str | None, expected: str) -> bool:
    """Compare what was shown with the secret without telling how far they agree."""
    return hmac.compare_digest((shown or "").encode("utf-8", "replace"), expected.encode())


def require(shown: str | None, expected: str) -> None:
    """Let the caller in who shows the secret.

    Raises:
        Refusal: something else, or nothing, was shown.
    """
    if not same(shown, expected):
        raise Refusal("unauthenticated", "调用方身份校验失败")


def signature(secret: str, base: bytes) -> bytes:
    """Return the HMAC-SHA256 of a signing base."""
    return hmac.new(secret.encode(), base, hashlib.sha256).digest()


def basic(header: str | None) -> tuple[str, str]:
    """Return user name and password of a Basic header; two empty texts when there is none."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password


class Freshness:
    """Signed requests must be of now, and their nonces new; nonces are forgotten once too old to be accepted anyway."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def check(self, timestamp_s: float, nonce: str | None = None) -> None:
        """Accept a signed instant, and a nonce once.

        Raises:
            Refusal: more than five minutes from this system's clock, or the nonce was seen.
        """
        now = time.time()
        if not abs(now - timestamp_s) <= SKEW_S:
            raise Refusal("unauthenticated", "请求时间戳超出允许范围")
        if nonce is None:
            return
        if not nonce or nonce in self._seen:
            raise Refusal("unauthenticated", "请求随机数重复")
        if len(self._seen) >= 10_000:
            self._seen = {n: at for n, at in self._seen.items() if now - at <= 2 * SKEW_S}
        self._seen[nonce] = now


def number(text: str | None) -> float:
    """Read a timestamp header.

    Raises:
        Refusal: it is missing or not digits.
    """
    if not text or not (text.isascii() and text.isdigit()):
        raise Refusal("unauthenticated", "缺少请求时间戳")
    return float(text)
