"""The key of a form post: made when the page was drawn, so that pressing twice does once."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from onestop.cases.office import Office
from onestop.http.errors import KeyMalformed, KeyMissing
from onestop.http.idempotency import Keyed, route_of
from onestop.http.models import Context
from onestop.ids import is_id
from onestop.web.form import first


def keyed(office: Office, context: Context, typed: Mapping[str, Any], method: str) -> Keyed:
    """Return the keyed request a page's form made.

    Raises:
        KeyMissing, KeyMalformed: the form came from elsewhere or was changed.
    """
    key = first(typed, "key")
    if not key:
        raise KeyMissing
    if not is_id("key", key):
        raise KeyMalformed
    body = msgspec.json.encode({name: typed[name] for name in sorted(typed)})
    return Keyed(
        region=office.region,
        principal=context.principal,
        route=route_of(method, context.path),
        key=key,
        body_hash=hashlib.sha256(body).digest(),
    )
