"""Checks an export or a proof of onestop's ledger without onestop: one file, the standard library and `cryptography`.

    python onestop_verify.py export ledger.txt --keys keys.json --anchors kept-anchors.jsonl
    python onestop_verify.py proof proof.json --keys keys.json

The keys are those of `GET /v1/audit/keys`, fetched once and kept; the anchors are a copy of the file that the worker
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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNED_AS = b"onestop-anchor-1\n"
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
    "stale": ("最新锚点过旧", "the newest anchor is too old"),
    "path": ("证明路径不通向锚点的根", "the path of the proof does not lead to the anchor's root"),
    "cut": ("导出文件不完整", "the export does not end where it should"),
    "format": ("无法识别的内容", "something cannot be read"),
}

Keys = Mapping[str, Ed25519PublicKey]
Anchor = dict[str, Any]


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


class Frontier:
    """The root of a growing tree, from the roots of its complete parts alone."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Put a leaf at the end."""
        nth, part = self.size, leaf
        while nth & 1:
            part = hashlib.sha256(b"\x01" + self._parts.pop() + part).digest()
            nth >>= 1
        self._parts.append(part)
        self.size += 1

    def root(self) -> bytes:
        """Return the root now."""
        if not self._parts:
            return hashlib.sha256().digest()
        found = self._parts[-1]
        for part in reversed(self._parts[:-1]):
            found = hashlib.sha256(b"\x01" + part + found).digest()
        return found


def leaf_of(entry: bytes, micro: int) -> bytes:
    """Return the leaf of an entry and its time."""
    inside = hashlib.sha256(entry).digest() + micro.to_bytes(8, "big", signed=True)
    return hashlib.sha256(b"\x00" + inside).digest()


def root_by_path(leaf: bytes, position: int, size: int, path: list[bytes]) -> bytes | None:
    """Return the root that a path leads to (RFC 9162, 2.1.3.2); None where it is no path of such a tree."""
    if not 0 <= position < size:
        return None
    nth, last, found = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if nth & 1 or nth == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while nth and not nth & 1:
                nth, last = nth >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        nth, last = nth >> 1, last >> 1
    return found if last == 0 else None


# ---- anchors


def signed_bytes(anchor: Anchor) -> bytes:
    """Return what an anchor's signature is over."""
    members = {name: value for name, value in anchor.items() if name != "signature"}
    return SIGNED_AS + json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def is_signed(anchor: Anchor, keys: Keys) -> bool:
    """Tell whether a known key signed an anchor."""
    key = keys.get(str(anchor.get("kid")))
    if key is None:
        return False
    try:
        key.verify(_bytes(str(anchor.get("signature", ""))), signed_bytes(anchor))
    except (InvalidSignature, ValueError):
        return False
    return True


def read_keys(jwks: Any) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of a JWK set by the thumbprints that they really have, whatever ids it tells."""
    found = {}
    for key in jwks["keys"]:
        if key.get("crv") == "Ed25519":
            thumb = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": key["x"]}, separators=(",", ":"))
            kid = base64.urlsafe_b64encode(hashlib.sha256(thumb.encode()).digest()).rstrip(b"=").decode()
            found[kid] = Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
    return found


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
        self._keys = keys
        self._kept = {int(one["number"]): one for one in kept}
        self._fresh_s = fresh_s
        self.report = Report()
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

    def _check_position(self, position: int) -> None:
        if position > self._next:
            self.report.found("deleted", f"entries {self._next} to {position - 1}")
        elif position < self._next:
            self.report.found("moved", f"entry {position}", f"after {self._next - 1}")
        self._next = position + 1

    def _check_content(self, position: int, leaf: bytes, micro: bytes, entry: bytes) -> None:
        if entry == b"-":
            self.report.found("deleted", f"entry {position}")
        elif leaf_of(entry, int(micro)) != leaf:
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
        self._check_chain(anchor)
        self._check_kept(anchor)
        self._check_size(anchor)
        self._check_root(anchor)
        self._before = anchor

    def _check_signature(self, anchor: Anchor) -> None:
        if not is_signed(anchor, self._keys):
            self.report.found("signature", f"anchor {anchor['number']}")

    def _check_chain(self, anchor: Anchor) -> None:
        before = self._before
        if before is None:
            good = anchor["number"] == 1 and anchor["previous"] == FIRST
        else:
            good = (
                anchor["number"] == before["number"] + 1
                and anchor["previous"] == hashlib.sha256(signed_bytes(before)).hexdigest()
                and anchor["size"] >= before["size"]
                and anchor["region"] == before["region"]
            )
        if not good:
            self.report.found("chain", f"anchor {anchor['number']}")

    def _check_kept(self, anchor: Anchor) -> None:
        kept = self._kept.get(anchor["number"])
        if kept is not None and kept != anchor:
            self.report.found("forked", f"anchor {anchor['number']}")

    def _check_size(self, anchor: Anchor) -> None:
        if anchor["size"] > self._tree.size:
            self.report.found("truncated", f"entries {self._tree.size} to {anchor['size'] - 1}")

    def _check_root(self, anchor: Anchor) -> None:
        if anchor["size"] <= self._tree.size and not self._broken and self._tree.root().hex() != anchor["root"]:
            self._broken = True
            since = 0 if self._before is None else self._before["size"]
            self.report.found("root", f"entries {since} to {anchor['size'] - 1}", f"anchor {anchor['number']}")

    def _end(self, now: float) -> None:
        last = self._before
        self.report.unanchored = self._tree.size - (0 if last is None else min(last["size"], self._tree.size))
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
        leaf = leaf_of(entry, int(proof["time_us"]))
        path = [bytes.fromhex(one) for one in proof["path"]]
        root = root_by_path(leaf, int(proof["position"]), int(anchor["size"]), path)
        if root is None or root.hex() != anchor["root"]:
            report.found("path", _id_of(entry))
        if not is_signed(anchor, keys):
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
