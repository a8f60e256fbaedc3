"""Code lists: an enumeration into a table of the manifest, with the meanings that its description tells."""

import re
from typing import Final

from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.rules_names import snake

_MOST: Final = 40
_PAIR = re.compile(
    r"""[`'"(\[]?\b([A-Za-z0-9_]{1,20})[`'")\]]?\s*(?:[:：=＝\-—–]|->)\s*([^,;，；、。|\n/`'"()]{1,40})"""
)


def meanings(text: str) -> dict[str, str]:
    """Return code and meaning as descriptions tell them: `1-male, 2-female`, `01：身份证；02：护照`."""
    return {code: meaning.strip().rstrip(".") for code, meaning in _PAIR.findall(text)}


def code_list(shape: Shape) -> dict[str, str]:
    """Return their codes into ours: by the description where it explains all of them, else each as its own word."""
    codes = [str(value) for value in shape.enum if isinstance(value, str | int) and str(value).strip()]
    if not 1 < len(codes) <= _MOST:
        return {}
    told = meanings(shape.text)
    if all(code in told for code in codes):
        return {code: told[code] for code in codes}
    if any(len(code) > 40 or code.isdigit() for code in codes):
        return {}
    return {code: snake(code, code) if len(code) > 1 else code.lower() for code in codes}
