"""The manifest's format as JSON Schema (draft 2020-12), made from the structs: for editors, importers and other people.

It says what types can say. What they cannot is the linter's; whoever passes this may still have findings.
"""

import ast
import inspect
import re
import textwrap
from functools import cache
from typing import Any, Final

import msgspec

from onestop.gateway import manifest as manifest_top
from onestop.gateway import manifest_auth, manifest_base, manifest_operations
from onestop.gateway.manifest import Manifest
from onestop.texts import catalogue

ADDRESS: Final = "/schema/manifest.json"
_REF: Final = "#/$defs/{name}"
_MODULES: Final = (manifest_top, manifest_operations, manifest_auth, manifest_base)
_EXAMPLES: Final[dict[tuple[str, str], list[Any]]] = {
    ("Manifest", "id"): ["gongan"],
    ("Manifest", "version"): ["1.0.0"],
    ("Manifest", "region"): ["990100"],
    ("Department", "code"): ["11990100MB9T0002XE"],
    ("Department", "contact"): ["gongan@example.com"],
    ("Operation", "path"): ["/v1/households/search", "/submissions/{serial}"],
    ("Operation", "total_s"): [2.0],
    ("Reply", "found"): ["data"],
    ("Reply", "subject"): ["data.id_number"],
    ("Reply", "as_of"): ["data.updated_at | instant"],
    ("Signed", "base"): ["{app_key}\n{timestamp}\n{nonce}\n{body_sha256}"],
    ("Paging", "items"): ["data.items"],
    ("Window", "begins"): ["22:00:00"],
}


@cache
def manifest_schema() -> dict[str, Any]:
    """Return the schema of a whole manifest; the caller must not change it."""
    made = msgspec.json.schema(Manifest, ref_template=_REF)
    definitions = made.pop("$defs")
    root = definitions.pop("Manifest")
    for name, definition in [("Manifest", root), *definitions.items()]:
        _explain(name, definition)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "onestop manifest 部门接入清单",
        "$defs": definitions,
    }
    return _tidied(document)  # type: ignore[no-any-return]  # a table in, a table out


def schema_text() -> str:
    """Return the schema as a file."""
    return msgspec.json.format(msgspec.json.encode(manifest_schema()), indent=2).decode() + "\n"


def _explain(struct: str, definition: dict[str, Any]) -> None:
    """Put words and examples to a struct and its members, in both languages where there are such."""
    kind = next((getattr(module, struct) for module in _MODULES if hasattr(module, struct)), None)
    if kind is None:
        return
    definition["description"] = _both(f"manifest.about.{struct}", inspect.cleandoc(kind.__doc__ or ""))
    comments = _comments(kind)
    for name, member in definition.get("properties", {}).items():
        words = _both(f"manifest.field.{struct}.{name}", comments.get(name, ""))
        if words:
            member["description"] = words
        if (struct, name) in _EXAMPLES:
            member["examples"] = _EXAMPLES[struct, name]


def _both(key: str, fallback: str) -> str:
    words = [catalogue(lang)[key] for lang in ("en", "zh") if key in catalogue(lang)]
    return "\n".join(words).replace("{{", "{").replace("}}", "}") if words else fallback


def _comments(kind: type) -> dict[str, str]:
    """Return what stands behind each member in the struct's own source, and of the struct it extends."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("onestop.") and issubclass(one, msgspec.Struct):
            source = textwrap.dedent(inspect.getsource(one))
            lines = source.splitlines()
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    _, sign, words = lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :].partition("# ")
                    if sign:
                        found[node.target.id] = re.sub(r"^noqa\S*( - )?", "", words.strip())
    return found


def _tidied(node: Any) -> Any:
    """Take out what only OpenAPI knows; a TOML time has no zone, which `format` would ask for."""
    if isinstance(node, list):
        return [_tidied(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _tidied(part) for name, part in node.items() if name != "discriminator"}
    if kept.get("format") == "time":
        del kept["format"]
        kept["pattern"] = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
    return kept
