"""The verifier as others use it: one file, a command, exports and proofs as files, hostile input."""

import ast
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onestop_verify
from audit.ledger import jwks, signer
from onestop.audit import anchor_keys, anchors, canonical, merkle
from onestop.clock import real_now

KEY = signer(b"k" * 32)
AT = real_now()


def entry(nth: int) -> bytes:
    return canonical.of_act("990100", f"aud_{nth}", "a", None, "x", None, None, f'{{"n":{nth}}}')


LEAVES = [canonical.leaf(entry(nth), AT) for nth in range(300)]


def signed(before: anchors.Anchor | None, size: int, root: bytes) -> anchors.Anchor:
    return anchor_keys.sign(KEY, "990100", before, size=size, root=root, at=AT)


def tree(size: int) -> merkle.Tree:
    return merkle.Tree(size, {(0, nth): leaf for nth, leaf in enumerate(LEAVES[:size])})


def export() -> tuple[bytes, list[anchors.Anchor]]:
    micro, lines, chain = canonical.microseconds(AT), [], []
    for nth in range(300):
        lines.append(b"e\t%d\t%s\t%d\t%s\n" % (nth, LEAVES[nth].hex().encode(), micro, entry(nth)))
        if nth % 100 == 99:
            chain.append(signed(chain[-1] if chain else None, nth + 1, tree(nth + 1).root()))
            lines.append(b"a\t" + anchors.written(chain[-1]).encode() + b"\n")
    return b"".join([*lines, b"z\t300\n"]), chain


EXPORT, CHAIN = export()


def proof(nth: int = 17, size: int = 300) -> dict[str, object]:
    return {
        "entry": entry(nth).decode(),
        "time_us": canonical.microseconds(AT),
        "position": nth,
        "path": [one.hex() for one in tree(size).path(nth)],
        "anchor": json.loads(anchors.written(CHAIN[size // 100 - 1])),
    }


def keys() -> dict[str, object]:
    return onestop_verify.read_keys(jwks(KEY))


def verified(text: bytes) -> onestop_verify.Report:
    return onestop_verify.Verifier(keys()).run(text.splitlines(keepends=True))


def test_it_needs_nothing_of_onestop():
    parsed = ast.parse(Path(onestop_verify.__file__).read_text("utf-8"))
    named = {alias.name for node in ast.walk(parsed) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(parsed) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in named} <= {*sys.stdlib_module_names, "cryptography"}


def test_the_command_ends_with_what_it_found(tmp_path, capsys):
    files = {name: tmp_path / name for name in ("ledger", "keys", "anchors", "proof")}
    files["ledger"].write_bytes(EXPORT)
    files["keys"].write_text(json.dumps(jwks(KEY)))
    files["anchors"].write_text("".join(anchors.written(one) + "\n" for one in CHAIN))
    files["proof"].write_text(json.dumps(proof()))
    known = ["--keys", str(files["keys"]), "--anchors", str(files["anchors"])]
    assert onestop_verify.main(["export", str(files["ledger"]), *known, "--fresh", "86400"]) == 0
    assert onestop_verify.main(["proof", str(files["proof"]), *known]) == 0
    assert "300 entries" in capsys.readouterr().out
    files["ledger"].write_bytes(EXPORT.replace(b'"n":42', b'"n":43'))
    assert onestop_verify.main(["export", str(files["ledger"]), *known, "--lang", "zh"]) == 5
    assert "aud_42" in capsys.readouterr().out
    assert onestop_verify.main(["export", str(tmp_path / "none"), *known]) == 2


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (EXPORT[: EXPORT.rindex(b"z\t")], {"cut"}),
        (EXPORT[: EXPORT.rindex(b"e\t250")], {"cut"}),
        (b"", {"cut"}),
        (EXPORT.replace(b"e\t7\t", b"e\tseven\t"), {"format", "cut", "deleted", "root", "truncated"}),
        (EXPORT.replace(b"\na\t{", b"\na\t["), {"format"}),
    ],
)
def test_an_export_that_is_cut_or_unreadable_is_not_taken_for_whole(text, kinds):
    found = verified(text).kinds
    assert found
    assert found <= kinds


def test_an_anchor_by_a_key_that_is_not_known_counts_for_nothing():
    other = onestop_verify.read_keys(jwks(signer(b"o" * 32)))
    report = onestop_verify.Verifier(other).run(EXPORT.splitlines(keepends=True))
    assert report.kinds == {"signature"}
    lying = jwks(KEY)["keys"][0] | {"x": jwks(signer(b"o" * 32))["keys"][0]["x"]}
    assert set(onestop_verify.read_keys({"keys": [lying]})) == set(other)  # an id says nothing, the key does


@given(nth=st.integers(0, 299), size=st.sampled_from([100, 200, 300]))
def test_every_proof_is_taken(nth, size):
    nth = min(nth, size - 1)
    assert onestop_verify.check_proof(proof(nth, size), keys()).count == 0


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"entry": entry(18).decode()}, {"path"}),
        ({"time_us": 1}, {"path"}),
        ({"position": 18}, {"path"}),
        ({"position": -1}, {"path"}),
        ({"position": 300}, {"path"}),
        ({"path": []}, {"path"}),
        ({"path": [*proof()["path"], "00" * 32]}, {"path"}),
        ({"path": ["zz"]}, {"format"}),
        ({"anchor": {}}, {"format"}),
        ({"anchor": proof()["anchor"] | {"root": "00" * 32}}, {"path", "signature"}),
        ({"anchor": proof()["anchor"] | {"at": "2030-01-01T00:00:00.000000Z"}}, {"signature"}),
    ],
)
def test_a_proof_of_something_else_is_refused(change, kinds):
    assert onestop_verify.check_proof(proof() | change, keys()).kinds == kinds


def test_a_proof_from_a_forked_ledger_is_refused_by_who_kept_anchors():
    kept = json.loads(anchors.written(signed(CHAIN[1], 300, b"r" * 32)))
    assert onestop_verify.check_proof(proof(), keys(), [kept]).kinds == {"forked"}


@given(text=st.binary(max_size=200))
def test_whatever_it_is_given_it_says_something(text):
    assert verified(text).count > 0
