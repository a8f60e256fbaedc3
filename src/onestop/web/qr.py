"""An address as a picture to be scanned."""

import segno
from markupsafe import Markup

_MODULE = 4  # pixels a square; the page scales it
_QUIET = 4  # squares around it that scanners need


def qr(address: str, title: str) -> Markup:
    """Return an address as an SVG of squares with a title for who cannot see it."""
    drawn = segno.make(address, error="l", micro=False)
    svg = drawn.svg_inline(scale=_MODULE, border=_QUIET, omitsize=True, title=title, light="#fff", svgclass=None)
    return Markup(svg)  # noqa: S704 - drawn here; segno escapes the title
