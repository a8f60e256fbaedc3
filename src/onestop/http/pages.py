"""Lists that come in pages."""


def next_page(path: str, cursor: str | None, limit: int) -> dict[str, str]:
    """Return the header that leads to the next page (RFC 8288); none where `cursor` is None: this was the last."""
    return {"link": f'<{path}?cursor={cursor}&limit={limit}>; rel="next"'} if cursor else {}
