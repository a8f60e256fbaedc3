"""From declared security to the manifest's `[auth]`, `[always]` and `[tls]`, and to what the environment must tell."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from onestop.onboarding.importing.drafts import Draft, media_kind
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Description, Scheme
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.signatures import Signature, stands_alone
from onestop.onboarding.importing.vocabulary import known

_KEY_HEADERS: Final = known("auth.key_names")
_CHOICES: Final = ("none", "api_key", "bearer", "basic", "oauth2_client_credentials", "ws_security", "signed")


class Authentication:
    """What the manifest says of it, and what the environment file has to hold."""

    def __init__(self) -> None:
        self.auth: dict[str, Any] = {"kind": "none"}
        self.always: dict[str, Any] = {}
        self.tls: dict[str, Any] = {}
        self.secrets: dict[str, str] = {}
        self.why = ""
        self.spoken_for: set[str] = set()  # names of parameters that carry credentials, lower case


def authentication(
    description: Description, drafts: list[Draft], interview: Interview, notes: Notes, spot: Any
) -> Authentication:
    """Infer how the chosen operations want the caller proved; ask where nothing is declared."""
    found = Authentication()
    requirement = _requirement(description, drafts, notes)
    signature = Signature(description, drafts, interview, notes)
    told = interview.told("auth", "text")
    if told == "signed" and signature.found:
        _signed(found, signature)
    elif told is not None:
        _asked(found, interview)
    elif signature.found and stands_alone({description.schemes[name].kind for name in requirement or ()}):
        for name, scopes in (requirement or {}).items():
            if description.schemes[name].kind == "mutual_tls":
                _take(found, description, description.schemes[name], scopes, interview, notes, spot)
        _signed(found, signature)
    elif requirement:
        for name, scopes in requirement.items():
            _take(found, description, description.schemes[name], scopes, interview, notes, spot)
        found.why = f"declared by the document: {', '.join(requirement)}"
        if found.auth["kind"] == "none" and not found.tls:  # declared, but as nothing that a manifest can say
            _asked(found, interview)
    elif requirement is None:
        _by_parameters(found, drafts)
        if found.auth["kind"] == "none":
            _asked(found, interview)
    _into_form(found.auth, drafts)
    _open_operations(description, drafts)
    return found


def _signed(found: Authentication, signature: Signature) -> None:
    found.auth, secrets, spoken_for = signature.taken()
    found.secrets |= secrets
    found.spoken_for |= spoken_for | {f"header:{name.lower()}" for name in found.auth.get("headers", {})}
    found.why = "a signature, by the names of parameters and what the document says of them; compare with the recipe"


def _into_form(auth: dict[str, Any], drafts: list[Draft]) -> None:
    """Move a key from the address into the form, where a form names it as a member of its own."""
    if auth.get("place") != "query":
        return
    proved = [draft.described for draft in drafts if draft.described.security is None or any(draft.described.security)]
    forms = [[m.shape.members for m in one.bodies if media_kind(m.type) == "form"] for one in proved]
    if forms and all(any(auth["name"] in members for members in form) for form in forms):
        auth["place"] = "form"


def _requirement(description: Description, drafts: list[Draft], notes: Notes) -> Mapping[str, tuple[str, ...]] | None:
    """Return the alternative that most of the operations share; {} where they are open; None where nothing is said."""
    declared = False
    ranked: list[tuple[int, int, Mapping[str, tuple[str, ...]]]] = []
    for draft in drafts:
        told = draft.described.security if draft.described.security is not None else description.security
        declared = declared or draft.described.security is not None or bool(description.security)
        for alternative in told:
            known = {name: scopes for name, scopes in alternative.items() if name in description.schemes}
            if known and len(known) == len(alternative):
                worst = max(_RANK.get(description.schemes[name].kind, 9) for name in known)
                ranked.append((worst, len(ranked), known))
    if ranked:
        return min(ranked, key=lambda entry: entry[:2])[2]
    if declared and not description.schemes:
        return None
    if not declared and description.schemes:  # declared but required nowhere: documents often forget
        first = min(description.schemes.values(), key=lambda scheme: _RANK.get(scheme.kind, 9))
        return {first.name: ()}
    return {} if declared else None


_RANK: Final = {"api_key": 1, "bearer": 2, "basic": 1, "oauth2": 0, "openid": 3, "mutual_tls": 2, "ws_security": 0}


def _take(
    found: Authentication,
    description: Description,
    scheme: Scheme,
    scopes: tuple[str, ...],
    interview: Interview,
    notes: Notes,
    spot: Any,
) -> None:
    first = found.auth["kind"] == "none"
    match scheme.kind:
        case "api_key" if scheme.place in ("header", "query") and scheme.parameter.lower() != "cookie":
            found.spoken_for.add(scheme.parameter.lower())
            if first:
                found.auth = {"kind": "api_key", "place": scheme.place, "name": scheme.parameter}
                found.secrets["api_key"] = f"the key for {scheme.parameter}"
            else:
                secret = "_".join(words_of(scheme.name)) or "second_key"
                place = "headers" if scheme.place == "header" else "query"
                found.always.setdefault(place, {})[scheme.parameter] = "{secret." + secret + "}"
                found.secrets[secret] = f"the key for {scheme.parameter}"
        case "api_key":
            notes.add("auth_cookie", spot(scheme.pointer), "warning", name=scheme.parameter)
        case "bearer":
            found.auth = {"kind": "api_key", "place": "header", "name": "Authorization", "prefix": "Bearer "}
            found.secrets["api_key"] = "the bearer token"
            if scheme.says.lower() == "jwt":
                notes.add("auth_jwt", spot(scheme.pointer), "note", name=scheme.name)
        case "basic":
            found.auth = {"kind": "basic"}
            found.secrets |= {"username": "user name", "password": "password"}
        case "oauth2" | "openid":
            _oauth(found, description, scheme, scopes, interview, notes, spot)
        case "mutual_tls":
            found.tls = {"client_certificate": True}
            found.secrets |= {"client_cert": "client certificate (PEM)", "client_key": "its key (PEM)"}
        case "ws_security":
            found.auth = {"kind": "ws_security"}
            found.secrets |= {"username": "user name", "password": "password"}
        case _:
            notes.add("auth_unknown", spot(scheme.pointer), "warning", name=scheme.name, kind=scheme.says)


def _oauth(
    found: Authentication,
    description: Description,
    scheme: Scheme,
    scopes: tuple[str, ...],
    interview: Interview,
    notes: Notes,
    spot: Any,
) -> None:
    told = scheme.flows.get("clientCredentials")
    if told is None:
        told = next((address for address in scheme.flows.values() if address), "")
        notes.add("auth_flow", spot(scheme.pointer), "warning", name=scheme.name, flows=", ".join(scheme.flows) or "—")
    path, elsewhere = _token_path(told, description)
    if not path:
        path = str(
            interview.ask(
                "auth.token_path", "text", about=scheme.pointer, default="/oauth/token", pattern=r"/[^\s?#]{0,199}"
            )
        )
    found.auth = {"kind": "oauth2_client_credentials", "token_path": path}
    if scopes:
        found.auth["scope"] = " ".join(scopes)
    found.secrets |= {"client_id": "client id", "client_secret": "client secret"}
    if elsewhere:
        found.secrets["token_url"] = f"the token's address, on another host: {told[:150]}"


def _token_path(told: str, description: Description) -> tuple[str, bool]:
    """Return the path of a token address below the system's own, and whether it is on another host."""
    if not told:
        return "", False
    try:
        url = urlsplit(told)
        own = urlsplit(description.servers[0] if description.servers else "")
    except ValueError:
        return "", False
    path = url.path or "/"
    base = own.path.rstrip("/")
    elsewhere = bool(url.netloc) and (url.netloc != own.netloc or not path.startswith(base))
    if not elsewhere and base and path.startswith(base + "/"):
        path = path[len(base) :]
    path = path if path.startswith("/") else "/" + path
    return path.split("?")[0].replace(" ", "")[:200], elsewhere


def _by_parameters(found: Authentication, drafts: list[Draft]) -> None:
    """Take a key that every operation asks for as a plain parameter."""
    for place in ("header", "query"):
        for draft in drafts:
            for parameter in draft.described.parameters:
                if parameter.place == place and "".join(words_of(parameter.name)) in _KEY_HEADERS:
                    found.auth = {"kind": "api_key", "place": place, "name": parameter.name}
                    found.secrets["api_key"] = f"the key for {parameter.name}"
                    found.spoken_for.add(parameter.name.lower())
                    found.why = f"`{parameter.name}` stands among the parameters of operations"
                    return
                if parameter.place == "header" and parameter.name.lower() == "authorization":
                    prefix = "Bearer "
                    found.auth = {"kind": "api_key", "place": "header", "name": "Authorization", "prefix": prefix}
                    found.secrets["api_key"] = "what stands after Bearer in Authorization"
                    found.why = "`Authorization` stands among the parameters of operations"
                    return


def _asked(found: Authentication, interview: Interview) -> None:
    """Ask, because the document declares nothing; `none` holds until somebody says otherwise."""
    told = interview.ask("auth", "choice", default="none", choices=_CHOICES)
    match told:
        case "api_key":
            name = str(interview.ask("auth.name", "text", default="X-API-Key", pattern=r"[A-Za-z0-9_-]{1,60}"))
            found.auth = {"kind": "api_key", "place": "header", "name": name}
            found.secrets["api_key"] = f"the key for {name}"
        case "bearer":
            found.auth = {"kind": "api_key", "place": "header", "name": "Authorization", "prefix": "Bearer "}
            found.secrets["api_key"] = "the bearer token"
        case "basic" | "ws_security":
            found.auth = {"kind": told}
            found.secrets |= {"username": "user name", "password": "password"}
        case "oauth2_client_credentials":
            path = interview.ask("auth.token_path", "text", default="/oauth/token", pattern=r"/[^\s?#]{0,199}")
            found.auth = {"kind": told, "token_path": str(path)}
            found.secrets |= {"client_id": "client id", "client_secret": "client secret"}
        case "signed":
            base = interview.ask(
                "auth.base", "text", default="{app_key}{timestamp}{body}", pattern=r"[^\x00-\x08]{1,500}"
            )
            headers = {"X-App-Key": "{app_key}", "X-Timestamp": "{timestamp}", "X-Sign": "{signature}"}
            found.auth = {"kind": "signed", "base": str(base), "headers": headers}
            found.secrets |= {"app_key": "app key", "app_secret": "app secret"}


def _open_operations(description: Description, drafts: list[Draft]) -> None:
    for draft in drafts:
        told = draft.described.security
        open_ = told is not None and (len(told) == 0 or any(not alternative for alternative in told))
        if open_ and description.schemes:
            draft.table["authenticate"] = False
            draft.whys["authenticate"] = "the document says that this operation needs no credentials"
