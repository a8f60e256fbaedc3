"""Shapes of what is typed on open pages, looked at before a room is asked."""

import re
from typing import Final

_NUMBER: Final = re.compile(r"[0-9A-Z]{25}")
_CODE: Final = re.compile(r"[0-9A-Z]{4}-?[0-9A-Z]{4}")


def checkable(number: str, code: str) -> bool:
    """Tell whether number and code have the shape of a certificate's."""
    return _NUMBER.fullmatch(number) is not None and _CODE.fullmatch(code) is not None
