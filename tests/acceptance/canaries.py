"""Looks for seeded words of people in whatever a portal leaves behind: texts, every column of its database, the WAL."""

from collections.abc import Iterable
from pathlib import Path

import asyncpg

_TABLES = """
    SELECT table_name FROM information_schema.tables
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name
"""
_BLOCK = 1 << 22


def written(secrets: Iterable[str]) -> dict[bytes, str]:
    """Return each secret as it may stand somewhere: as it is, as JSON escapes it, and as digits of bytes."""
    found = {}
    for secret in secrets:
        plain = secret.encode()
        found |= dict.fromkeys((plain, plain.hex().encode(), ascii(secret)[1:-1].encode()), secret)
    return found


def in_text(secrets: Iterable[str], text: bytes) -> set[str]:
    """Return which secrets stand in a text."""
    return {secret for form, secret in written(secrets).items() if form in text}


async def in_tables(db: asyncpg.Connection, secrets: Iterable[str]) -> set[tuple[str, str]]:
    """Return (table, secret) for every secret in any column of any table; what is sealed shows nothing of it."""
    forms, found = written(secrets), set()
    for row in await db.fetch(_TABLES):
        table = row["table_name"]
        async with db.transaction():
            async for line in db.cursor(f'SELECT t::text AS line FROM "{table}" t'):
                told = line["line"].encode()
                found |= {(table, secret) for form, secret in forms.items() if form in told}
    return found


def in_files(folder: Path, secrets: Iterable[str]) -> set[tuple[str, str]]:
    """Return (file, secret) for every secret in the bytes of a folder's files."""
    forms = {secret.encode(): secret for secret in secrets}
    longest = max(map(len, forms))
    found = set()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        with path.open("rb") as file:
            before = b""
            while block := file.read(_BLOCK):
                told = before + block
                found |= {(path.name, secret) for form, secret in forms.items() if form in told}
                before = told[-longest:]
    return found
