"""The tree over the ledger's leaves, as RFC 6962 section 2.1 draws it: what it reads, its root, the way to a leaf.

The hash is that of a suite: SHA-256 or SM3. Positions count from the tree's own first leaf.

Hashes of every eighth level of the tree's complete parts are kept; what lies between is worked out from them. So a root
or a path reads at most 256 hashes a level instead of all leaves.
"""

from collections.abc import Iterator, Mapping

from onestop.suites import INTL, Suite

STEP = 8  # levels between those that are kept
_WIDE = 1 << STEP

Known = Mapping[tuple[int, int], bytes]  # (level, nth) → hash; level 0 are the leaves


def inner(left: bytes, right: bytes, suite: Suite = INTL) -> bytes:
    """Return the hash over two parts."""
    return suite.hash(b"\x01" + left + right)


def grown(old: int, new: int) -> Iterator[tuple[int, int, int]]:
    """Yield (level, first, end) of the kept parts that become complete as a tree grows from `old` leaves to `new`."""
    level = STEP
    while new >> level:
        if old >> level < new >> level:
            yield level, old >> level, new >> level
        level += STEP


def needed(size: int, position: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield (level, first, end) of the hashes that the root of `size` leaves takes, and the path to a position."""
    level = 0
    while size >> level:
        end = size >> level
        edge = end >> STEP << STEP
        yield level, edge, end
        if position is not None:
            block = position >> level >> STEP << STEP
            if block < edge:
                yield level, block, block + _WIDE
        level += STEP


class Tree:
    """The tree of a size, given the hashes that `needed` names."""

    def __init__(self, size: int, known: Known, suite: Suite = INTL) -> None:
        self.size = size
        self._suite = suite
        self._known = dict(known)

    def part(self, level: int, nth: int) -> bytes:
        """Return the hash of a complete part: the `nth` of those over 2^level leaves."""
        found = self._known.get((level, nth))
        if found is None:
            if level == 0:
                raise LookupError(f"leaf {nth} was not read")
            left, right = self.part(level - 1, 2 * nth), self.part(level - 1, 2 * nth + 1)
            found = self._known[level, nth] = inner(left, right, self._suite)
        return found

    def root(self) -> bytes:
        """Return the hash of everything; of no leaf it is the hash of nothing."""
        return self._over(0, self.size) if self.size else self._suite.hash(b"")

    def path(self, position: int) -> list[bytes]:
        """Return the hashes that lead from a leaf to the root, the leaf's neighbour first."""
        return self._path(position, 0, self.size)

    def _over(self, first: int, end: int) -> bytes:
        count = end - first
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self.part(level, first >> level)
        cut = first + _largest_below(count)
        return inner(self._over(first, cut), self._over(cut, end), self._suite)

    def _path(self, position: int, first: int, end: int) -> list[bytes]:
        count = end - first
        if count == 1:
            return []
        cut = first + _largest_below(count)
        if position < cut:
            return [*self._path(position, first, cut), self._over(cut, end)]
        return [*self._path(position, cut, end), self._over(first, cut)]


def _largest_below(count: int) -> int:
    """Return the largest power of two below `count`, which is at least two."""
    return 1 << (count - 1).bit_length() - 1
