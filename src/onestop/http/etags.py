"""Versions of one resource as entity tags: `"v7"` is version 7. Weak tags and `*` are no versions."""

import re

from litestar import Response

from onestop.errors import PreconditionRequired, Stale
from onestop.http.models import Context

_TAG = re.compile(rb'"v(\d{1,18})"')


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"v{version}"'


def _versions(header: bytes) -> list[int]:
    parts = [part.strip() for part in header.split(b",")]
    return [int(match[1]) for part in parts if (match := _TAG.fullmatch(part.removeprefix(b"W/")))]


def unchanged(context: Context, version: int) -> bool:
    """Tell whether the caller already has this version (`If-None-Match`); then answer `not_modified`."""
    return version in _versions(context.headers.get(b"if-none-match", b""))


def headers(version: int) -> dict[str, str]:
    """Return the headers of a reply that shows a version: keep it, but ask before using it again."""
    return {"etag": etag(version), "cache-control": "private, no-cache"}


def not_modified(version: int) -> Response[None]:
    """Return 304 for a version the caller has."""
    return Response(None, status_code=304, headers=headers(version))


def expected_versions(context: Context) -> list[int]:
    """Return the versions the caller is ready to change (`If-Match`).

    Raises:
        PreconditionRequired: the header is absent or names no version.
    """
    header = context.headers.get(b"if-match")
    found = [] if header is None or b"W/" in header else _versions(header)
    if not found:
        raise PreconditionRequired
    return found


def check_match(context: Context, version: int) -> None:
    """Check that the caller means the version that stands.

    Raises:
        PreconditionRequired: the caller does not say which version is meant.
        Stale: the caller means another one.
    """
    if version not in expected_versions(context):
        raise Stale(version=version)
