"""XML read so that nothing is fetched and nothing expands: no document type, no entities, bounded depth."""

import re
from typing import Any

from lxml import etree

from onestop.onboarding.importing.errors import DocumentUnusable

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_MOST_PARTS = 400_000


def read(text: str, file: str) -> Any:
    """Return the root element; elements know their lines.

    Raises:
        DocumentUnusable: not well-formed, with a document type, too deep or of too many parts.
    """
    plain = _DECLARATION.sub(lambda match: "\n" * match[0].count("\n"), text.lstrip("\ufeff"), count=1)
    for word in ("<!DOCTYPE", "<!ENTITY"):
        if word in plain:
            line = plain.count("\n", 0, plain.index(word)) + 1
            raise DocumentUnusable("doctype", file=file, line=line)
    if plain.count("<") + plain.count("=") > _MOST_PARTS:
        raise DocumentUnusable("too_many_parts", file=file, most=_MOST_PARTS)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        # Blank lines before the root would move the lines that faults and elements tell.
        return etree.fromstring(plain.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as fault:
        line, column = fault.position
        said = str(fault.msg or "").partition(", line")[0]
        raise DocumentUnusable("xml", file=file, line=line or 1, column=column or 1, said=said) from None
    except ValueError as fault:
        raise DocumentUnusable("xml", file=file, line=1, column=1, said=type(fault).__name__) from None


def path_of(element: Any) -> str:
    """Return an XPath that finds the element: local names, and `name` where it has one."""
    steps: list[str] = []
    while element is not None and isinstance(element.tag, str):
        name = element.get("name")
        steps.append(etree.QName(element).localname + (f"[@name='{name}']" if name else ""))
        element = element.getparent()
    return "/" + "/".join(reversed(steps))
