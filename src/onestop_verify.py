"""Checks an export or a proof of onestop's ledger without onestop: one file, the standard library and `cryptography`.

    python onestop_verify.py export ledger.txt --keys keys.json --anchors kept-anchors.jsonl
    python onestop_verify.py proof proof.json --keys keys.json

The keys are those of `GET /v1/audit/keys`, fetched once and kept: a later key counts where an anchor that a known key
signed announces it, and a key from nowhere counts for nothing. The anchors are a copy of the file that the worker
writes outside of the database, or of `GET /v1/audit/anchors`. Both have to come from another place than the export:
an export checked with nothing but itself can be no more than consistent. What the bytes mean is told in docs/audit.md.
It ends with 0 where nothing was found, with 5 where something was, with 2 where it could not look.
"""

import argparse
import base64
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIRST = "0" * 64
FOUND, COULD_NOT = 5, 2
_MOST = 100  # findings that are told one by one

# kind → what is said of it, in Chinese and English
SAYS = {
    "changed": ("记录内容与其存证不符", "an entry is not what was sealed"),
    "deleted": ("已存证的记录缺失", "a sealed entry is gone"),
    "inserted": ("存在未经存证的旧记录", "an entry stands among sealed ones that was never sealed"),
    "moved": ("记录的位置被调换", "entries do not stand in their order"),
    "root": (
        "记录在两个锚点之间被改动、增删或调换",
        "between two anchors something was changed, added, gone or moved",
    ),
    "truncated": ("末尾的记录缺失", "entries are missing at the end"),
    "rolled_back": ("账本被恢复到较早的状态", "the ledger was set back to an earlier state"),
    "forked": ("同一编号存在两个不同的锚点", "there are two different anchors of one number"),
    "chain": ("锚点之间不相衔接", "an anchor does not continue the one before"),
    "signature": ("锚点的签名无效或密钥未知", "an anchor is not signed by a known key"),
    "key": ("锚点由未经前任密钥宣布的密钥签名", "an anchor is signed by a key that the one before did not announce"),
    "tree": ("锚点所指的树与记录不符", "an anchor is over another tree than the entries stand in"),
    "stale": ("最新锚点过旧", "the newest anchor is too old"),
    "path": ("证明路径不通向锚点的根", "the path of the proof does not lead to the anchor's root"),
    "cut": ("导出文件不完整", "the export does not end where it should"),
    "format": ("无法识别的内容", "something cannot be read"),
}

Hash = Callable[[bytes], bytes]
Anchor = dict[str, Any]


class PublicKey(Protocol):
    """A key that anchors are checked with."""

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Return where the signature is the key's, and raise InvalidSignature where it is not."""
        ...


Keys = Mapping[str, PublicKey]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    kind: str
    place: str
    detail: str = ""

    def says(self, lang: str = "en") -> str:
        """Return it in words."""
        words = SAYS[self.kind][0 if lang == "zh" else 1]
        return f"{self.kind}: {words} ({self.place}{'; ' + self.detail if self.detail else ''})"


@dataclass
class Report:
    """What was looked at, and what was found."""

    entries: int = 0
    anchors: int = 0
    unanchored: int = 0  # sealed after the newest anchor: nothing vouches for them yet
    pending: int = 0  # written and not sealed yet
    seconds: float = 0.0
    count: int = 0  # of findings
    findings: list[Finding] = field(default_factory=list)

    def found(self, kind: str, place: str, detail: str = "") -> None:
        """Note a finding; the first hundred are told."""
        self.count += 1
        if len(self.findings) < _MOST:
            self.findings.append(Finding(kind, place, detail))

    @property
    def kinds(self) -> set[str]:
        """Return which kinds were found."""
        return {one.kind for one in self.findings}


# ---- the two suites


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of the data."""
    return hashlib.sha256(data).digest()


def sm3(data: bytes) -> bytes:
    """Return the SM3 (GB/T 32905) of the data."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


HASHES: dict[str, Hash] = {"intl": sha256, "sm": sm3}

# The curve of SM2 (GB/T 32918.5): y² = x³ − 3x + b over the integers modulo P; G has order N.
_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
_SIGNER = b"1234567812345678"  # the standard's default id
Point = tuple[int, int, int]  # Jacobian; the last is zero for the point at infinity


class Sm2PublicKey:
    """Checks SM2 signatures (GB/T 32918.2), r and s side by side; it handles nothing secret."""

    def __init__(self, point: bytes) -> None:
        x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
        if len(point) != 64 or x >= _P or y >= _P or (y * y - (x * x * x - 3 * x + _B)) % _P:
            raise ValueError("not a point of the curve")
        self._point = (x, y)
        numbers = (_P - 3, _B, *_G, x, y)
        z = (8 * len(_SIGNER)).to_bytes(2, "big") + _SIGNER + b"".join(one.to_bytes(32, "big") for one in numbers)
        self._z = sm3(z)

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """See `PublicKey.verify`."""
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        t = (r + s) % _N
        if len(signature) != 64 or not 0 < r < _N or not 0 < s < _N or t == 0:
            raise InvalidSignature
        x, _, z = _sum_of_products(s, _G, t, self._point)
        e = int.from_bytes(sm3(self._z + data), "big")
        if z == 0 or (e + x * pow(z * z, -1, _P) % _P) % _N != r:
            raise InvalidSignature


def _sum_of_products(s: int, g: tuple[int, int], t: int, q: tuple[int, int]) -> Point:
    """Return s·g + t·q, bit by bit of both numbers at once."""
    one, two = (*g, 1), (*q, 1)
    chosen: dict[tuple[int, int], Point] = {(1, 0): one, (0, 1): two, (1, 1): _added(one, two)}
    found: Point = (1, 1, 0)
    for bit in range(255, -1, -1):
        found = _doubled(found)
        here = (s >> bit & 1, t >> bit & 1)
        if here != (0, 0):
            found = _added(found, chosen[here])
    return found


def _doubled(a: Point) -> Point:
    x, y, z = a
    square, zz = y * y % _P, z * z % _P
    m, w = 3 * (x - zz) * (x + zz) % _P, 4 * x * square % _P
    new = (m * m - 2 * w) % _P
    return new, (m * (w - new) - 8 * square * square) % _P, 2 * y * z % _P


def _added(a: Point, b: Point) -> Point:
    if a[2] == 0 or b[2] == 0:
        return b if a[2] == 0 else a
    aa, bb = a[2] * a[2] % _P, b[2] * b[2] % _P
    u, v = a[0] * bb % _P, a[1] * bb * b[2] % _P
    h, r = (b[0] * aa - u) % _P, (b[1] * aa * a[2] - v) % _P
    if h == 0:
        return _doubled(a) if r == 0 else (1, 1, 0)
    hh = h * h % _P
    x = (r * r - hh * h - 2 * u * hh) % _P
    return x, (r * (u * hh - x) - v * hh * h) % _P, a[2] * b[2] * h % _P


# ---- the tree


class Frontier:
    """The root of a growing tree, from the roots of its complete parts alone."""

    def __init__(self, hash_: Hash = sha256) -> None:
        self.size = 0
        self._hash = hash_
        self._parts: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Put a leaf at the end."""
        nth, part = self.size, leaf
        while nth & 1:
            part = self._hash(b"\x01" + self._parts.pop() + part)
            nth >>= 1
        self._parts.append(part)
        self.size += 1

    def root(self) -> bytes:
        """Return the root now."""
        if not self._parts:
            return self._hash(b"")
        found = self._parts[-1]
        for part in reversed(self._parts[:-1]):
            found = self._hash(b"\x01" + part + found)
        return found


def leaf_of(entry: bytes, micro: int, hash_: Hash = sha256) -> bytes:
    """Return the leaf of an entry and its time."""
    return hash_(b"\x00" + hash_(entry) + micro.to_bytes(8, "big", signed=True))


def root_by_path(leaf: bytes, position: int, size: int, path: list[bytes], hash_: Hash = sha256) -> bytes | None:
    """Return the root that a path leads to (RFC 9162, 2.1.3.2); None where it is no path of such a tree."""
    if not 0 <= position < size:
        return None
    nth, last, found = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if nth & 1 or nth == last:
            found = hash_(b"\x01" + sibling + found)
            while nth and not nth & 1:
                nth, last = nth >> 1, last >> 1
        else:
            found = hash_(b"\x01" + found + sibling)
        nth, last = nth >> 1, last >> 1
    return found if last == 0 else None


# ---- anchors


def signed_bytes(anchor: Anchor) -> bytes:
    """Return what an anchor's signature is over."""
    members = {name: value for name, value in anchor.items() if name != "signature"}
    # Those of before there was a choice of suites tell none.
    kind = b"onestop-anchor-2\n" if "suite" in anchor else b"onestop-anchor-1\n"
    return kind + json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def tree_of(anchor: Anchor) -> tuple[int, str]:
    """Return where an anchor's tree begins, and its suite."""
    return int(anchor.get("base", 0)), str(anchor.get("suite", "intl"))


def is_signed(anchor: Anchor, keys: Keys) -> bool:
    """Tell whether a known key, of the suite that the anchor tells, signed it."""
    key = keys.get(str(anchor.get("kid")))
    if key is None or isinstance(key, Sm2PublicKey) != (tree_of(anchor)[1] == "sm"):
        return False
    try:
        key.verify(_bytes(str(anchor.get("signature", ""))), signed_bytes(anchor))
    except (InvalidSignature, ValueError):
        return False
    return True


def read_keys(jwks: Any) -> dict[str, PublicKey]:
    """Return the keys of a JWK set by the thumbprints that they really have, whatever ids it tells."""
    return dict(found for key in jwks["keys"] if (found := _read_key(key)) is not None)


def _read_key(key: Mapping[str, Any]) -> tuple[str, PublicKey] | None:
    if key.get("crv") == "Ed25519":
        members = {"crv": "Ed25519", "kty": "OKP", "x": key["x"]}
        return _thumbprint(members, sha256), Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
    if key.get("crv") == "SM2":
        members = {"crv": "SM2", "kty": "EC", "x": key["x"], "y": key["y"]}
        return _thumbprint(members, sm3), Sm2PublicKey(_bytes(key["x"]) + _bytes(key["y"]))
    return None


def _thumbprint(members: Mapping[str, str], hash_: Hash) -> str:
    thumb = json.dumps(members, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hash_(thumb)).rstrip(b"=").decode()


def announced_by(anchor: Anchor, keys: Keys) -> dict[str, PublicKey]:
    """Return the key that an anchor announces; none where no known key signed the anchor."""
    if "next" not in anchor or not is_signed(anchor, keys):
        return {}
    return dict(found for key in [anchor["next"]] if (found := _read_key(key)) is not None)


def followed(keys: Keys, anchors: Iterable[Anchor]) -> dict[str, PublicKey]:
    """Return the known keys with all that are announced, from one to the next, by these anchors."""
    known = dict(keys)
    for anchor in sorted((one for one in anchors if "next" in one), key=lambda one: int(one["number"])):
        known |= announced_by(anchor, known)
    return known


def read_anchors(lines: Iterable[str]) -> list[Anchor]:
    """Return the anchors of a file, one JSON object a line; a last line that was cut off is left out."""
    found = []
    for line in lines:
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict) and "number" in one:
            found.append(one)
    return found


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


# ---- an export


class Verifier:
    """Reads an export line by line; what it holds in memory does not grow with it."""

    def __init__(self, keys: Keys, kept: Iterable[Anchor] = (), *, fresh_s: float | None = None) -> None:
        self._kept = {int(one["number"]): one for one in kept}
        self._keys = followed(keys, self._kept.values())
        self._turn: set[str] = set()  # kids of which one signs the next anchor; empty before the first
        self._fresh_s = fresh_s
        self.report = Report()
        self._base, self._suite = 0, "intl"
        self._tree = Frontier()
        self._next = 0  # the position expected
        self._before: Anchor | None = None
        self._broken = False  # one root was wrong: all later ones are

    def run(self, lines: Iterable[bytes], now: float | None = None) -> Report:
        """Return what an export is worth."""
        began = time.perf_counter()
        ended = False
        for line in lines:
            kind, _, rest = line.rstrip(b"\n").partition(b"\t")
            try:
                if kind == b"e":
                    self._entry(rest)
                elif kind == b"a":
                    self._anchor(json.loads(rest))
                elif kind == b"t":
                    self._begin(rest)
                elif kind == b"u":
                    self._unsealed(rest)
                elif kind == b"z":
                    ended = int(rest) == self.report.entries
            except (ValueError, KeyError, TypeError, IndexError, OverflowError) as fault:
                self.report.found("format", f"line {line[:40]!r}", type(fault).__name__)
        if not ended:
            self.report.found("cut", f"after entry {self._next - 1}")
        self._end(time.time() if now is None else now)
        self.report.seconds = time.perf_counter() - began
        return self.report

    def _entry(self, rest: bytes) -> None:
        position_, leaf_, micro, entry = rest.split(b"\t", 3)
        position, leaf = int(position_), bytes.fromhex(leaf_.decode())
        self.report.entries += 1
        self._check_position(position)
        self._check_content(position, leaf, micro, entry)
        self._tree.add(leaf)

    def _begin(self, rest: bytes) -> None:
        """Begin another tree; that it is so is told by the anchors over it."""
        base, _, suite = rest.partition(b"\t")
        self._base, self._suite = int(base), suite.decode()
        self._tree, self._broken = Frontier(HASHES[self._suite]), False

    @property
    def _size(self) -> int:
        """Return how many leaves stand in all trees until here."""
        return self._base + self._tree.size

    def _check_position(self, position: int) -> None:
        if position > self._next:
            self.report.found("deleted", f"entries {self._next} to {position - 1}")
        elif position < self._next:
            self.report.found("moved", f"entry {position}", f"after {self._next - 1}")
        self._next = position + 1

    def _check_content(self, position: int, leaf: bytes, micro: bytes, entry: bytes) -> None:
        if entry == b"-":
            self.report.found("deleted", f"entry {position}")
        elif leaf_of(entry, int(micro), HASHES[self._suite]) != leaf:
            self.report.found("changed", f"entry {position}", _id_of(entry))

    def _unsealed(self, rest: bytes) -> None:
        state, leaf, micro, entry = rest.split(b"\t", 3)
        if state == b"stray":
            self.report.found("inserted", _id_of(entry))
        else:
            self.report.pending += 1
        if leaf != b"-" and leaf_of(entry, int(micro)).hex().encode() != leaf:
            self.report.found("changed", _id_of(entry), "not sealed yet")

    def _anchor(self, anchor: Anchor) -> None:
        self.report.anchors += 1
        self._check_signature(anchor)
        self._check_key(anchor)
        self._check_chain(anchor)
        self._check_tree(anchor)
        self._check_kept(anchor)
        self._check_size(anchor)
        self._check_root(anchor)
        self._before = anchor

    def _check_signature(self, anchor: Anchor) -> None:
        if not is_signed(anchor, self._keys):
            self.report.found("signature", f"anchor {anchor['number']}")

    def _check_key(self, anchor: Anchor) -> None:
        """One key signs until another, which it announced, does; from then on only that one."""
        kid = str(anchor["kid"])
        if self._turn and kid not in self._turn:
            self.report.found("key", f"anchor {anchor['number']}", kid)
        new = announced_by(anchor, self._keys)
        self._keys |= new
        waiting = self._turn if self._before is not None and kid == self._before["kid"] else set()
        self._turn = {kid, *(new or waiting)}

    def _check_chain(self, anchor: Anchor) -> None:
        before = self._before
        base, suite = tree_of(anchor)
        if before is None:
            good = anchor["number"] == 1 and anchor["previous"] == FIRST and base == 0
        else:
            good = (
                anchor["number"] == before["number"] + 1
                and anchor["previous"] == HASHES[suite](signed_bytes(before)).hex()
                and anchor["size"] >= before["size"]
                and anchor["region"] == before["region"]
                # Another tree begins where an anchor has closed the one before.
                and ((base, suite) == tree_of(before) or base == before["size"])
            )
        if not good:
            self.report.found("chain", f"anchor {anchor['number']}")

    def _check_tree(self, anchor: Anchor) -> None:
        if tree_of(anchor) != (self._base, self._suite):
            self.report.found("tree", f"anchor {anchor['number']}")

    def _check_kept(self, anchor: Anchor) -> None:
        kept = self._kept.get(anchor["number"])
        if kept is not None and kept != anchor:
            self.report.found("forked", f"anchor {anchor['number']}")

    def _check_size(self, anchor: Anchor) -> None:
        if anchor["size"] > self._size:
            self.report.found("truncated", f"entries {self._size} to {anchor['size'] - 1}")

    def _check_root(self, anchor: Anchor) -> None:
        if anchor["size"] <= self._size and not self._broken and self._tree.root().hex() != anchor["root"]:
            self._broken = True
            since = 0 if self._before is None else self._before["size"]
            self.report.found("root", f"entries {since} to {anchor['size'] - 1}", f"anchor {anchor['number']}")

    def _end(self, now: float) -> None:
        last = self._before
        self.report.unanchored = self._size - (0 if last is None else min(last["size"], self._size))
        self._check_rollback(last)
        if self._fresh_s is not None and (last is None or now - _seconds(last["at"]) > self._fresh_s):
            self.report.found("stale", "anchor -" if last is None else f"anchor {last['number']}, {last['at']}")

    def _check_rollback(self, last: Anchor | None) -> None:
        newest = max(self._kept, default=0)
        if newest > (0 if last is None else last["number"]):
            known = "" if is_signed(self._kept[newest], self._keys) else "not signed by a known key"
            self.report.found("rolled_back", f"kept anchor {newest}", known)


def _id_of(entry: bytes) -> str:
    try:
        return str(json.loads(entry)["id"])
    except (ValueError, KeyError, TypeError):
        return "?"


# ---- a proof


def check_proof(proof: Mapping[str, Any], keys: Keys, kept: Iterable[Anchor] = ()) -> Report:
    """Return what the proof of one entry is worth."""
    report = Report(entries=1, anchors=1)
    try:
        anchor, entry = proof["anchor"], str(proof["entry"]).encode()
        base, suite = tree_of(anchor)
        leaf = leaf_of(entry, int(proof["time_us"]), HASHES[suite])
        path = [bytes.fromhex(one) for one in proof["path"]]
        place, size = int(proof["position"]) - base, int(anchor["size"]) - base
        root = root_by_path(leaf, place, size, path, HASHES[suite])
        if root is None or root.hex() != anchor["root"]:
            report.found("path", _id_of(entry))
        kept = list(kept)
        if not is_signed(anchor, followed(keys, [*kept, *proof.get("keys", [])])):
            report.found("signature", f"anchor {anchor['number']}")
        if any(one["number"] == anchor["number"] and one != anchor for one in kept):
            report.found("forked", f"anchor {anchor['number']}")
    except (ValueError, KeyError, TypeError, OverflowError) as fault:
        report.found("format", "proof", type(fault).__name__)
    return report


# ---- the command


def main(argv: list[str] | None = None) -> int:
    """Run the command and return the number it ends with."""
    told = _arguments().parse_args(argv)
    try:
        keys = read_keys(json.loads(told.keys.read_text("utf-8")))
        kept = list(_kept(told.anchors))
        if told.what == "proof":
            report = check_proof(json.loads(told.file.read_text("utf-8")), keys, kept)
        else:
            with told.file.open("rb") as lines:
                report = Verifier(keys, kept, fresh_s=told.fresh).run(lines)
    except (OSError, ValueError, KeyError) as fault:
        print(f"{type(fault).__name__}: {fault}", file=sys.stderr)
        return COULD_NOT
    print("\n".join(said(report, told.lang)))
    return FOUND if report.count else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="onestop_verify", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["export", "proof"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--keys", type=Path, required=True, help="JWK set, kept from GET /v1/audit/keys")
    parser.add_argument("--anchors", type=Path, action="append", default=[], help="kept anchors, one a line")
    parser.add_argument("--fresh", type=float, metavar="SECONDS", help="how old the newest anchor may be")
    parser.add_argument("--lang", choices=["zh", "en"], default="en")
    return parser


def _kept(files: Iterable[Path]) -> Iterator[Anchor]:
    for file in files:
        with file.open(encoding="utf-8") as lines:
            yield from read_anchors(lines)


def said(report: Report, lang: str = "en") -> list[str]:
    """Return a report in lines."""
    told = [one.says(lang) for one in report.findings]
    if report.count > len(told):
        told.append(f"… +{report.count - len(told)}")
    speed = f", {report.entries / report.seconds:,.0f}/s" if report.seconds else ""
    if lang == "zh":
        told.append(
            f"记录 {report.entries}{speed},锚点 {report.anchors},尚无锚点 {report.unanchored},"
            f"待存证 {report.pending},问题 {report.count}"
        )
    else:
        told.append(
            f"{report.entries} entries{speed}, {report.anchors} anchors, {report.unanchored} not anchored yet, "
            f"{report.pending} not sealed yet, {report.count} findings"
        )
    return told


if __name__ == "__main__":
    sys.exit(main())
