"""The manifest's text out of drafts and answers: what was inferred says why, above it."""

from collections.abc import Iterator, Mapping
from typing import Any

from onestop.onboarding.importing import toml
from onestop.onboarding.importing.authentication import Authentication
from onestop.onboarding.importing.drafts import Draft
from onestop.onboarding.importing.examples import without_nulls
from onestop.onboarding.importing.models import Description

_ORDER = (
    "id", "kind", "want", "title", "method", "path", "purpose", "basis", "idempotent", "lookup", "total_s",
    "per_second", "concurrency", "authenticate", "sensitivity", "request_codec", "response_codec", "content_type",
    "accept_type", "accept", "answer", "answer_within_s", "poll", "paging", "errors", "request", "reply", "schema",
)  # fmt: skip
_DEFAULTS = {"request_codec": "json", "response_codec": "json", "accept": [200], "sensitivity": "personal"}


def manifest(
    head: Mapping[str, Any],
    department: Mapping[str, Any],
    found: Authentication,
    codes: Mapping[str, Mapping[str, str]],
    drafts: list[Draft],
    probe: str | None,
    origin: str,
    limits: tuple[Mapping[str, Any], str] = ({}, ""),
    callback: Mapping[str, Any] | None = None,
) -> str:
    """Return the manifest; the same import gives the same text."""
    parts: list[str] = [
        f"# Written by `onestop adapter import` from {origin}.",
        "# Every comment says what was inferred and from what. Check it with `onestop adapter lint`.",
        "",
    ]
    parts += [f"{name} = {toml.value(told)}" for name, told in head.items()]
    parts += ["", "[department]", *(f"{name} = {toml.value(told)}" for name, told in department.items())]
    parts += ["", "[auth]", *([f"# {found.why}"] if found.why else [])]
    parts += _table(found.auth)
    if found.always:
        parts += ["", "[always]", *_table(found.always)]
    if found.tls:
        parts += ["", "[tls]", *_table(found.tls)]
    if limits[0]:
        parts += ["", "[limits]", f"# {limits[1]}", *_table(limits[0])]
    if callback:
        why = "how they prove that it is they; docs/manifest.md has what else may be said of it"
        parts += ["", "[callback]", f"# {why}", *_table(callback)]
    if probe is not None:
        parts += ["", "[probe]", "# the document names it as a health check", f"path = {toml.text(probe)}"]
    for name, listed in codes.items():
        parts += ["", f"[codes.{toml.key(name)}]", *_table(listed)]
    for draft in drafts:
        parts += ["", *_operation(draft)]
    return "\n".join(parts) + "\n"


def _table(told: Mapping[str, Any]) -> list[str]:
    return [line for name, part in told.items() for line in toml.lines(toml.key(name), part)]


def _operation(draft: Draft) -> Iterator[str]:
    yield "[[operations]]"
    table, whys = draft.table, draft.whys
    large: list[str] = []
    for name in _ORDER:
        if name not in table or table[name] == _DEFAULTS.get(name) or table[name] in ({}, [], None):
            continue
        told = without_nulls(table[name])
        if name in ("request", "reply", "schema"):
            comment = [f"# {whys[name]}"] if whys.get(name) else []
            large += ["", *comment, *toml.section(f"operations.{name}", told, whys, name)]
        elif name == "errors" and len(told) > 1:
            yield from (f"# {line}" for line in whys.get(name, "").splitlines())
            yield "errors = ["
            yield from (f"  {toml.value(case)}," for case in told)
            yield "]"
        else:
            yield from toml.lines(name, told, whys.get(name, ""))
    yield from large
    for example in table.get("examples", []):
        yield ""
        yield "[[operations.examples]]"
        for name, told in example.items():
            yield from toml.lines(name, told)


def readme(
    id_: str,
    names: Mapping[str, str],
    description: Description,
    found: Authentication,
    drafts: list[Draft],
    origin: str,
) -> str:
    """Return the page beside the manifest: what was taken, what the environment must tell, what to look at."""
    rows = [
        f"| `{d.id}` | {d.kind} | `{d.described.method} {d.described.path}` | {_cell(d.table['title']['zh'])} |"
        for d in drafts
    ]
    url = description.servers[0] if description.servers else "https://…"
    secrets = [f'{name} = "…"   # {told}' for name, told in found.secrets.items()]
    personal = sorted({f"`{p.path}` ({p.what})" for d in drafts for p in d.personal})[:60]
    parts = [
        f"# {names['zh']} — {names['en']}",
        "",
        f"Made by `onestop adapter import` from {origin}.",
        "The manifest is `manifest.toml`; answers as the document shows them: `examples/`.",
        "",
        "## Operations",
        "",
        "| operation | kind | call | title |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "## Environment",
        "",
        "```toml",
        f"[adapters.{id_}]",
        f'url = "{url}"   # as the document says; the address of the sandbox first',
        *secrets,
        "```",
        "",
        "## Personal fields",
        "",
        ", ".join(personal) + "." if personal else "None were recognised.",
    ]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
