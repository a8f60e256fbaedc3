"""What is handed in instead of a document: other formats by name, web pages, pointers to a file that is elsewhere."""

import re
from collections.abc import Mapping
from typing import Any, Final

from onestop.onboarding.importing.errors import DocumentUnusable

_BYTES: Final = (
    (b"%PDF", "PDF"),
    (b"\xd0\xcf\x11\xe0", "Microsoft Office"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8", "JPEG"),
)
_BEGINNINGS: Final = (
    (re.compile(r"#%RAML\b"), "RAML"),
    (re.compile(r"FORMAT:\s*1A\b"), "API Blueprint"),
    (re.compile(r"(?://[^\n]*\n|\s|/\*.*?\*/)*syntax\s*=\s*[\"']proto", re.DOTALL), "Protocol Buffers"),
    (
        re.compile(r"(?:\s|#[^\n]*\n|\"\"\".*?\"\"\")*(?:extend\s+)?(?:schema|type|interface|enum|input|scalar|union)\s+"
                   r"[\w@{][^:\n]*[{=]", re.DOTALL),
        "GraphQL",
    ),
    (re.compile(r"(?:window\.|(?:var|let|const|export|module)\b(?!\s*:)|[\w.]+\(\s*[{\[])"), "JavaScript"),
)  # fmt: skip
_HTML: Final = re.compile(r"(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html\b|<head\b|<body\b)", re.IGNORECASE | re.DOTALL)
_TITLE: Final = re.compile(r"<title[^>]*>([^<]{1,80})", re.IGNORECASE)
_LFS: Final = "version https://git-lfs.github.com/spec/"
_MEMBERS: Final[tuple[tuple[frozenset[str], str], ...]] = tuple(
    (frozenset(names.split()), called)
    for names, called in (
        ("asyncapi", "AsyncAPI"), ("swaggerVersion", "Swagger 1.x"), ("raml", "RAML"), ("arazzo", "Arazzo"),
        ("overlay actions", "OpenAPI Overlay"), ("info item", "Postman"), ("requests order", "Postman 1"),
        ("__export_format", "Insomnia"), ("log", "HAR"), ("$schema", "JSON Schema"), ("__schema", "GraphQL"),
        ("data", "GraphQL"), ("kind discoveryVersion", "Google API Discovery"),
        ("kind resources", "Google API Discovery"),
    )
)  # fmt: skip
_HEAD: Final = 4000  # characters that are looked at


def check_bytes(data: bytes, file: str) -> None:
    """Refuse what is no text.

    Raises:
        DocumentUnusable: it is a file of another kind; says which.
    """
    for mark, name in _BYTES:
        if data.startswith(mark):
            raise DocumentUnusable("other_format", file=file, name=name)


def check_text(text: str, file: str) -> None:
    """Refuse a text that is known to be something else, before a parser complains of its syntax.

    Raises:
        DocumentUnusable: it is; says what.
    """
    head = text[:_HEAD].lstrip("\ufeff \t\n")
    if _HTML.match(head):
        title = _TITLE.search(head)
        raise DocumentUnusable("web_page", file=file, title=" ".join(title[1].split()) if title else "—")
    if head.startswith(_LFS):
        raise DocumentUnusable("pointer", file=file)
    for beginning, name in _BEGINNINGS:
        if beginning.match(head):
            raise DocumentUnusable("other_format", file=file, name=name)


def refuse(root: Mapping[str, Any], file: str) -> DocumentUnusable:
    """Return the refusal of a table that is neither OpenAPI nor Swagger: what it is, else what it holds."""
    for names, name in _MEMBERS:
        if names <= root.keys() and _is(name, root):
            return DocumentUnusable("other_format", file=file, name=name)
    return DocumentUnusable("unknown_format", file=file, names=", ".join(str(name)[:40] for name in list(root)[:6]))


def _is(name: str, root: Mapping[str, Any]) -> bool:
    """Tell whether members that others may have too are what that format has there."""
    match name:
        case "HAR":
            return isinstance(root["log"], dict) and "entries" in root["log"]
        case "GraphQL":
            return "__schema" in root or (isinstance(root["data"], dict) and "__schema" in root["data"])
        case "Google API Discovery":
            return str(root["kind"]).startswith("discovery#")
    return True
