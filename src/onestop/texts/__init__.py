"""Every word a person reads, in Chinese and English, from TOML catalogues with equal keys."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, Language]] = ("zh", "en")


def _flatten(prefix: str, tree: dict[str, Any], into: dict[str, str]) -> None:
    for key, value in tree.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            _flatten(name, value, into)
        else:
            into[name] = str(value)


@cache
def catalogue(lang: Language) -> dict[str, str]:
    """Return all texts of one language: dotted key to text with `{named}` places."""
    texts: dict[str, str] = {}
    folder = resources.files(__name__).joinpath(lang)
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            _flatten("", tomllib.loads(file.read_text("utf-8")), texts)
    return texts


class _Blank(dict[str, Any]):
    """A missing value shows its name instead of breaking the sentence."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def text(key: str, lang: Language, /, **params: object) -> str:
    """Return the text under `key`; the key itself where the catalogue lacks it."""
    found = catalogue(lang).get(key)
    if found is None:
        return key
    return found.format_map(_Blank(params)) if "{" in found else found


def has(key: str) -> bool:
    """Tell whether both languages know `key`."""
    return all(key in catalogue(lang) for lang in LANGUAGES)
