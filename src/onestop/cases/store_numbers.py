"""SQL of official numbers."""

from onestop.db import Db, value

NEXT_BLOCK = """
    SELECT nextval('case_serials')
"""


async def next_block(db: Db) -> int:
    """Take a block of 1,000 serials and return its first; a sequence gives none of them twice."""
    first: int = await value(db, NEXT_BLOCK)
    return first
