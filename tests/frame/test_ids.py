import os
import time
import uuid

from onestop.ids import is_id, new_id

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def as_uuid(text: str) -> uuid.UUID:
    value = 0
    for character in text.partition("_")[2]:
        value = value << 5 | ALPHABET.index(character)
    return uuid.UUID(int=value)


def test_an_id_is_a_uuid_of_version_seven_made_now():
    before = time.time_ns() // 1_000_000
    made = as_uuid(new_id("case"))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_differ_and_sort_by_the_time_they_were_made():
    ids = []
    for _ in range(5):
        ids.append(new_id("evt"))
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert len({new_id("evt") for _ in range(10_000)}) == 10_000


def test_the_shape_tells_the_kind():
    assert is_id("case", new_id("case"))
    assert not is_id("case", new_id("task"))
    assert not is_id("case", "case_../../etc/passwd")
    assert not is_id("case", new_id("case") + "0")


def test_a_forked_child_makes_ids_of_its_own():
    new_id("evt")  # so that there is entropy in store
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id("evt")[-14:].encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() != new_id("evt")[-14:]
