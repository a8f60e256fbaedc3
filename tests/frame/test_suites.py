"""Both suites give what the standards print; what one made the other's installation opens, and nothing forged."""

import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from onestop import sm2
from onestop.crypto import Keys, SealBroken, is_hash
from onestop.rootkeys import BadRootKeys, RootFolder
from onestop.suites import INTL, SM, SUITES, Sm4Gcm

# RFC 8998, appendix A.1: SM4-GCM.
SM4_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
SM4_NONCE = bytes.fromhex("00001234567800000000ABCD")
SM4_AAD = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
SM4_PLAIN = b"".join(bytes([byte]) * 8 for byte in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
SM4_SEALED = bytes.fromhex(
    "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
    "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
    "83DE3541E4C2B58177E065A9BF7B62EC"
)
# GB/T 32918.5, the example of a signature over the recommended curve.
SM2_PUBLIC = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
SM2_PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
SM2_SIGNED = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def keys_of(folder, suite="intl"):
    return Keys(RootFolder.open(folder), suite)


def test_sm4_gcm_refuses_altered_bytes_and_gives_what_rfc_8998_prints():
    gcm = Sm4Gcm(SM4_KEY)
    for at in (0, 40, len(SM4_SEALED) - 1):
        altered = bytearray(SM4_SEALED)
        altered[at] ^= 1
        with pytest.raises(InvalidTag):
            gcm.decrypt(SM4_NONCE, bytes(altered), SM4_AAD)
    with pytest.raises(InvalidTag):
        gcm.decrypt(SM4_NONCE, SM4_SEALED, SM4_AAD[1:])
    assert gcm.encrypt(SM4_NONCE, SM4_PLAIN, SM4_AAD) == SM4_SEALED
    assert gcm.decrypt(SM4_NONCE, SM4_SEALED, SM4_AAD) == SM4_PLAIN


def test_sm4_encrypts_the_block_of_gb_t_32907():
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.ciphers.algorithms import SM4

    block = Cipher(SM4(SM4_KEY), modes.ECB()).encryptor()
    assert block.update(SM4_KEY).hex() == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
)
def test_sm3_gives_what_gb_t_32905_prints(data, expected):
    assert SM.hash(data).hex() == expected


def test_hashes_and_macs_of_both_suites_are_others_too():
    from gmssl_pyx import sm3_hmac

    assert SM.mac(b"k" * 32, b"data") == sm3_hmac(b"k" * 32, b"data")
    assert INTL.hash(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    # RFC 4231, test case 2.
    assert INTL.mac(b"Jefe", b"what do ya want for nothing?").hex().startswith("5bdcc146bf60754e6a042426089575c7")


def test_sm2_takes_the_standards_signature_and_no_other():
    half = 32
    r, s = SM2_SIGNED[:half], SM2_SIGNED[half:]
    for wrong in (s + r, r + bytes(half), bytes(half) + s, ORDER.to_bytes(half) + s, r + ORDER.to_bytes(half), r, b""):
        assert not sm2.verify(SM2_PUBLIC, b"message digest", wrong)
    assert not sm2.verify(SM2_PUBLIC, b"message digesu", SM2_SIGNED)
    assert not sm2.verify(SM2_PUBLIC[:-1] + b"\0", b"message digest", SM2_SIGNED)  # a point that is not on the curve
    assert sm2.verify(SM2_PUBLIC, b"message digest", SM2_SIGNED)
    assert sm2.verify(SM2_PUBLIC, b"any", sm2.sign(SM2_PRIVATE, SM2_PUBLIC, b"any"))


@pytest.mark.parametrize("suite", ["intl", "sm"])
def test_a_seal_opens_for_its_own_context_and_keys_alone(folder, tmp_path, suite):
    keys = keys_of(folder, suite)
    sealed = keys.seal(b"990102199203140221", "subjects.number:a")
    for stranger, context in ((keys, "subjects.number:b"), (keys_of(tmp_path / "other", suite), "subjects.number:a")):
        with pytest.raises(SealBroken):
            stranger.unseal(sealed, context)
    with pytest.raises(SealBroken):
        keys.region("990100").unseal(sealed, "subjects.number:a")
    assert keys.unseal(sealed, "subjects.number:a") == b"990102199203140221"


@given(st.binary(max_size=60))
def test_no_bytes_open_that_were_not_sealed(data):
    folder = RootFolder.__new__(RootFolder)
    folder.roots, folder.current, folder.folder = {1: b"r" * 32}, 1, Path("/nowhere")
    with pytest.raises(SealBroken):
        Keys(folder).unseal(data, "any")


def test_each_suite_opens_what_the_other_sealed_and_names_itself(folder):
    made = {name: keys_of(folder, name) for name in SUITES}
    for keys in made.values():
        sealed = keys.seal(b"data", "c")
        assert sealed[0] == keys.suite.id
        assert [other.unseal(sealed, "c") for other in made.values()] == [b"data", b"data"]
        assert keys.hash(b"data") != b"data"
        assert is_hash(b"data", keys.hash(b"data"))
        assert not is_hash(b"date", keys.hash(b"data"))
    assert made["intl"].hash(b"data") != made["sm"].hash(b"data")
    indices = made["intl"].blind_indices("1", "c")
    assert made["sm"].blind_indices("1", "c") == indices
    assert [made[name].blind_index("1", "c") for name in SUITES] == indices


def test_a_key_another_process_begins_to_seal_with_opens_here_at_once(folder):
    here, there = keys_of(folder), keys_of(folder)
    old = here.seal(b"old", "c")
    RootFolder.open(folder).use(RootFolder.open(folder).add())
    assert there.reload()
    new = there.seal(b"new", "c")
    assert new[:2] == bytes([0x81, 2])
    assert (here.unseal(new, "c"), here.unseal(old, "c"), there.unseal(old, "c")) == (b"new", b"old", b"old")
    assert not there.is_current(old)
    assert there.is_current(new)
    assert there.blind_index("1", "c") == here.blind_index("1", "c")


def test_a_regions_key_changes_with_the_root_key(folder):
    keys = keys_of(folder)
    old = keys.region("990100").seal(b"data key", "c")
    keys._folder.use(keys._folder.add())
    keys._folder.current = 1  # as a process that has not looked yet
    assert keys.reload()
    new = keys.region("990100").seal(b"data key", "c")
    assert old[0] == 1
    assert new[:2] == bytes([0x81, 2])
    assert keys.region("990100").unseal(old, "c") == keys.region("990100").unseal(new, "c") == b"data key"
    with pytest.raises(SealBroken):
        keys.region("990200").unseal(new, "c")


def test_invented_key_numbers_and_suites_open_nothing(folder):
    keys = keys_of(folder)
    for header in (bytes([0x81, 0]), bytes([0x81, 1]), bytes([0x81, 9]), b"\x00", b"\x03", bytes([0x83, 1]), b"\x81"):
        with pytest.raises(SealBroken):
            keys.unseal(header + bytes(40), "c")


def test_a_folder_that_lacks_a_key_is_refused_and_what_was_read_stays(folder):
    keys = keys_of(folder)
    sealed = keys.seal(b"data", "c")
    (folder / "current").write_text("7")
    with pytest.raises(BadRootKeys):
        keys.reload()
    with pytest.raises(BadRootKeys):
        keys_of(folder)
    with pytest.raises(BadRootKeys):
        RootFolder.open(folder.parent / "fresh").use(2)
    (folder / "current").unlink()
    (folder / "root-2.key").write_bytes(b"short")
    with pytest.raises(BadRootKeys):
        keys.reload()
    assert keys.unseal(sealed, "c") == b"data"


def test_root_keys_are_for_their_owner_alone(folder):
    made = RootFolder.open(folder)
    made.use(made.add())
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == ["current", "root-2.key", "root.key"]


def test_without_the_package_of_sm2_a_key_of_it_is_refused_in_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    with pytest.raises(sm2.Sm2Missing, match="onestop"):
        sm2.generate()
