"""Security schemes and requirements of OpenAPI, old and new, into one form."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from onestop.onboarding.importing.models import Scheme
from onestop.onboarding.importing.source import At, Source

_OLD_FLOWS = {
    "application": "clientCredentials",
    "accessCode": "authorizationCode",
    "password": "password",
    "implicit": "implicit",
}


def read_schemes(source: Source, root: Mapping[str, Any], *, old: bool) -> dict[str, Scheme]:
    """Return the declared schemes by name; what cannot be read is noted."""
    where = At((source.main, "/securityDefinitions" if old else "/components/securitySchemes"))
    components = root.get("components")
    told = (
        root.get("securityDefinitions")
        if old
        else components.get("securitySchemes")
        if isinstance(components, dict)
        else None
    )
    found: dict[str, Scheme] = {}
    for name, value in told.items() if isinstance(told, dict) else ():
        scheme, at, _ = source.follow(value, where / name)
        if isinstance(scheme, dict):
            about = " ".join(str(scheme.get("description") or "").split())[:2000]
            found[name] = msgspec.structs.replace(_scheme(source, name, scheme, at), about=about)
        else:
            source.notes.add("scheme_odd", source.spot(at), "warning", name=name)
    return found


def _scheme(source: Source, name: str, told: dict[str, Any], at: At) -> Scheme:
    kind = str(told.get("type", ""))
    if kind == "apiKey":
        place = str(told.get("in", "header"))
        return Scheme(
            name=name, kind="api_key", pointer=at.pointer, place=place, parameter=str(told.get("name", "X-API-Key"))
        )
    if kind == "basic":
        return Scheme(name=name, kind="basic", pointer=at.pointer)
    if kind == "http":
        return _http(name, told, at)
    if kind == "oauth2":
        return _oauth(name, told, at)
    if kind == "openIdConnect":
        return Scheme(name=name, kind="openid", pointer=at.pointer, says=str(told.get("openIdConnectUrl", "")))
    if kind == "mutualTLS":
        return Scheme(name=name, kind="mutual_tls", pointer=at.pointer)
    source.notes.add("scheme_odd", source.spot(at), "warning", name=name)
    return Scheme(name=name, kind="other", pointer=at.pointer, says=kind)


def _http(name: str, told: dict[str, Any], at: At) -> Scheme:
    scheme = str(told.get("scheme", "")).lower()
    kind: Literal["basic", "bearer", "other"] = "other"
    if scheme in ("basic", "bearer"):
        kind = "basic" if scheme == "basic" else "bearer"
    return Scheme(name=name, kind=kind, pointer=at.pointer, says=str(told.get("bearerFormat", scheme)))


def _oauth(name: str, told: dict[str, Any], at: At) -> Scheme:
    flows: dict[str, str] = {}
    scopes: dict[str, None] = {}
    given = told.get("flows")
    if isinstance(given, dict):
        for flow, detail in given.items():
            if isinstance(detail, dict):
                flows[str(flow)] = str(detail.get("tokenUrl", ""))
                scopes |= dict.fromkeys(detail["scopes"] if isinstance(detail.get("scopes"), dict) else {})
    elif isinstance(told.get("flow"), str):
        flows[_OLD_FLOWS.get(told["flow"], told["flow"])] = str(told.get("tokenUrl", ""))
    return Scheme(name=name, kind="oauth2", pointer=at.pointer, flows=flows, scopes=tuple(map(str, scopes)))


def read_security(told: Any) -> tuple[Mapping[str, tuple[str, ...]], ...] | None:
    """Return the alternatives of a requirement; None where nothing is said."""
    if not isinstance(told, list):
        return None
    return tuple(
        {
            str(name): tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else ()
            for name, scopes in alternative.items()
        }
        for alternative in told
        if isinstance(alternative, dict)
    )
