"""What somebody typed when the session was over: sealed into a cookie of their own browser until they are back.

Nobody is known at that moment, so nothing is written here for anyone; the cookie opens only on the page it is for.
"""

import base64
import binascii
from typing import Any, Final

import msgspec
from litestar import Request

from onestop.crypto import Keys
from onestop.errors import OnestopError
from onestop.http.errors import CrossSite
from onestop.http.models import Context
from onestop.settings import Settings
from onestop.web.form import Typed
from onestop.web.pages import Paper

COOKIE: Final = "__Host-onestop-kept"
LIFE_S: Final = 1_800
_MOST: Final = 3_800  # browsers take 4,096 bytes with the name and attributes
_CONTEXT: Final = "web.kept"


class _Kept(msgspec.Struct, frozen=True):
    path: str
    typed: dict[str, str | list[str]]


def keep(paper: Paper, keys: Keys, path: str, typed: Typed) -> bool:
    """Send what was typed away with the answer; False where it is too long for a cookie."""
    plain = msgspec.json.encode(_Kept(path, dict(typed)))
    value = base64.urlsafe_b64encode(keys.seal(plain, _CONTEXT)).decode()
    if len(value) > _MOST:
        return False
    paper.set_cookie(COOKIE, value, max_age=LIFE_S)
    return True


def take(paper: Paper, keys: Keys, path: str, request: Request[Any, Any, Any]) -> dict[str, str | list[str]] | None:
    """Return what was typed on this page before, once; None where nothing was, or on another page."""
    value = request.cookies.get(COOKIE)
    if not value:
        return None
    try:
        kept = msgspec.json.decode(keys.unseal(base64.urlsafe_b64decode(value), _CONTEXT), type=_Kept)
    except (binascii.Error, ValueError, OnestopError):
        paper.set_cookie(COOKIE, "", max_age=0)
        return None
    if kept.path != path:
        return None
    paper.set_cookie(COOKIE, "", max_age=0)
    return kept.typed


def from_own_page(context: Context, settings: Settings) -> None:
    """Take a form of somebody who is not signed in only from onestop's own pages.

    Raises:
        CrossSite: another site sent it; it would put words into the person's form.
    """
    origin = context.headers.get(b"origin", b"").decode("latin-1")
    host = context.headers.get(b"host", b"").decode("latin-1")
    site = context.headers.get(b"sec-fetch-site")
    own = {settings.public_url.rstrip("/"), f"http://{host}", f"https://{host}"}
    if origin not in own and not (origin == "" and site == b"same-origin"):
        raise CrossSite
