"""The tree is RFC 6962's: compared with a plain reading of its definition, and with its published vectors."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.audit import merkle

LEAVES = [hashlib.sha256(bytes([n & 255, n >> 8])).digest() for n in range(1300)]


def plain_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    cut = 1
    while cut * 2 < len(leaves):
        cut *= 2
    return hashlib.sha256(b"\1" + plain_root(leaves[:cut]) + plain_root(leaves[cut:])).digest()


def kept(size: int) -> dict[tuple[int, int], bytes]:
    """Return everything that would be kept of a tree that grew by sevens."""
    known = {(0, n): leaf for n, leaf in enumerate(LEAVES[:size])}
    for old in range(0, size, 7):
        for level, first, end in merkle.grown(old, min(old + 7, size)):
            tree = merkle.Tree(size, known)
            known |= {(level, nth): tree.part(level, nth) for nth in range(first, end)}
    return known


def read(known: dict[tuple[int, int], bytes], size: int, position: int | None = None) -> merkle.Tree:
    """Return a tree that is given no more than what `needed` names."""
    named = {(level, nth) for level, first, end in merkle.needed(size, position) for nth in range(first, end)}
    return merkle.Tree(size, {place: known[place] for place in named})


def climb(leaf: bytes, position: int, size: int, path: list[bytes]) -> bytes:
    """Return the root a path leads to, by RFC 9162 section 2.1.3.2."""
    nth, last, found = position, size - 1, leaf
    for sibling in path:
        if nth & 1 or nth == last:
            found = merkle.inner(sibling, found)
            while not nth & 1 and nth:
                nth, last = nth >> 1, last >> 1
        else:
            found = merkle.inner(found, sibling)
        nth, last = nth >> 1, last >> 1
    assert last == 0
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 1300])
def test_the_root_is_that_of_the_definition(size):
    assert read(kept(size), size).root() == plain_root(LEAVES[:size])


def test_the_root_of_nothing_is_the_hash_of_nothing():
    assert merkle.Tree(0, {}).root() == hashlib.sha256().digest()


def test_the_published_vectors_hold():
    told = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [hashlib.sha256(b"\0" + bytes.fromhex(one)).digest() for one in told]
    tree = merkle.Tree(8, {(0, n): leaf for n, leaf in enumerate(leaves)})
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


KEPT = kept(1300)


@given(data=st.data(), size=st.integers(1, 1300))
def test_every_path_leads_to_the_root(data, size):
    position = data.draw(st.integers(0, size - 1))
    tree = read(KEPT, size, position)
    assert climb(LEAVES[position], position, size, tree.path(position)) == plain_root(LEAVES[:size])


def test_a_path_reads_hundreds_of_hashes_of_a_large_tree():
    named = sum(end - first for _, first, end in merkle.needed(100_000_000, 1_234_567))
    assert named < 2_000
