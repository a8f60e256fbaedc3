"""Static files of a room, read once when the app is built and served with entity tags."""

import hashlib
from importlib.resources.abc import Traversable
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from onestop.errors import NotFound
from onestop.http.problems import context_of

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
    "ico": "image/x-icon",
}


class Asset(msgspec.Struct, frozen=True):
    """One file."""

    media_type: str
    tag: str
    body: bytes


def read(folder: Traversable) -> dict[str, Asset]:
    """Return the files of a folder by name; kinds of file that are not served are left out."""
    found = {}
    for file in folder.iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if file.is_file() and media_type is not None:
            body = file.read_bytes()
            found[file.name] = Asset(media_type, f'"{hashlib.sha256(body).hexdigest()[:20]}"', body)
    return found


def route(path: str, folder: Traversable) -> HTTPRouteHandler:
    """Return a handler for the files of one folder, open to everybody."""
    files = read(folder)

    @get(f"{path}/{{name:str}}", opt={"public": True}, include_in_schema=False)
    async def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[Any]:
        found = files.get(name)
        if found is None:
            raise NotFound
        headers = {"etag": found.tag, "cache-control": "public, max-age=3600"}
        if found.tag.encode() in context_of(request.scope).headers.get(b"if-none-match", b""):
            return Response(None, status_code=304, headers=headers)
        return Response(found.body, media_type=found.media_type, headers=headers)

    return asset
