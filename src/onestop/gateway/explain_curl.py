"""A department's request as a command to copy: what would be sent, with a placeholder for every secret and value."""

import json
import re
import shlex
from typing import Any

from onestop.gateway.bodies import codecs
from onestop.gateway.manifest import (
    ApiKey,
    Basic,
    ClientCredentials,
    Login,
    Manifest,
    OnestopToken,
    Operation,
    SelfSigned,
    Signed,
)

_PLACE = re.compile(r"\{([^{}]*)\}")
_XML_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


def curl_of(manifest: Manifest, operation: str) -> str | None:
    """Return the command for an operation's (first) request; None where the manifest no longer has it."""
    spec = next((one for one in manifest.operations if one.id == operation), None)
    if spec is None or manifest.desk:
        return None
    request, path, method = spec.request, spec.path, spec.method
    if spec.steps:
        request, path, method = spec.steps[0].request, spec.steps[0].path, spec.steps[0].method
    filled = _PLACE.sub(lambda place: _shown(request.path.get(place[1], place[1])), path)
    query = [f"{name}={_shown(value)}" for name, value in request.query.items()] + _auth_query(manifest)
    words = ["curl", "-sS", "-X", method, '"$URL"' + shlex.quote(filled + ("?" + "&".join(query) if query else ""))]
    for name, value in [*_content(spec), *((n, _shown(v)) for n, v in request.headers.items()), *_auth(manifest)]:
        words += ["-H", shlex.quote(f"{name}: {value}")]
    if isinstance(manifest.auth, Basic):
        words += ["-u", shlex.quote("<username>:<password>")]
    body = _body(spec, request.body, request.template)
    return " ".join([*words, *(["--data", shlex.quote(body)] if body else [])])


def _content(spec: Operation) -> list[tuple[str, str]]:
    kind = codecs.content_type(spec)
    return [("Content-Type", kind)] if kind else []


def _body(spec: Operation, body: Any, template: str | None) -> str:
    if template is not None:
        return _XML_PLACE.sub(lambda place: f"<{place[1]}>", template)
    if body is None:
        return ""
    shown = _tree(body)
    if spec.request_codec == "form":
        return "&".join(f"{name}={value}" for name, value in shown.items())
    return json.dumps(shown, ensure_ascii=False)


def _tree(value: Any) -> Any:
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, dict):
        return {name: _tree(part) for name, part in value.items()}
    return [_tree(part) for part in value] if isinstance(value, list) else value


def _shown(expression: Any) -> str:
    """Return a literal as it is, anything else as a placeholder."""
    if not isinstance(expression, str):
        return str(expression)
    quoted = re.fullmatch(r"\s*'([^']*)'\s*", expression)
    return quoted[1] if quoted else f"<{expression.partition('|')[0].strip()}>"


def _auth(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the headers by which we show who we are, with placeholders."""
    auth = manifest.auth
    always = [(name, _filled(value)) for name, value in manifest.always.headers.items()]
    match auth:
        case ApiKey(place="header"):
            return [*always, (auth.name, f"{auth.prefix}<api_key>")]
        case ClientCredentials():
            return [*always, ("Authorization", "Bearer <access token>")]
        case SelfSigned() | OnestopToken():
            return [*always, (auth.header, f"{auth.prefix}<our signed token>")]
        case Signed() | Login():
            return [*always, *((name, _filled(value)) for name, value in auth.headers.items())]
    return always


def _auth_query(manifest: Manifest) -> list[str]:
    auth = manifest.auth
    told = [f"{name}={_filled(value)}" for name, value in manifest.always.query.items()]
    if isinstance(auth, ApiKey) and auth.place == "query":
        return [*told, f"{auth.name}=<api_key>"]
    if isinstance(auth, Signed | Login):
        return [*told, *(f"{name}={_filled(value)}" for name, value in auth.query.items())]
    return told


def _filled(recipe: str) -> str:
    return _PLACE.sub(lambda place: f"<{place[1]}>", recipe)
