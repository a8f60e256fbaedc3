import pytest

from onestop.gateway.manifest import parse
from onestop.onboarding.differences import as_text, diff, differences
from tests.onboarding.conftest import manifest

OLD = manifest()


def changed(old, new):
    assert old in OLD
    return [(raw.kind, raw.where, raw.breaking) for raw in differences(parse(OLD.encode()), parse(new.encode()))]


@pytest.mark.parametrize(
    ("old", "new", "kind", "where", "breaking"),
    [
        ('want = "one"\n', "", "want_removed", "query", True),
        ('answer = "data.answer"', 'more = "data.answer"', "field_removed", "query.answer", True),
        ('answer = "data.answer"', 'answer = "data.text"', "field_changed", "query.answer", False),
        ("concurrency = 16", "concurrency = 8", "limit_changed", "limits.concurrency", True),
        ("concurrency = 16", "concurrency = 32", "limit_changed", "limits.concurrency", False),
        ("total_s = 0.3", "total_s = 0.2", "limit_changed", "apply.total_s", True),
        ('path = "/query"', 'path = "/other"', "request_changed", "query.path", False),
        ("[limits]", '[auth]\nkind = "basic"\n[limits]', "auth_changed", "auth", False),
        ('idempotent = "key"', 'idempotent = "lookup"', "answer_changed", "apply.idempotent", True),
        ('no = "declined"', 'no = "correction"', "outcome_changed", "apply.reply.outcome.no", True),
        ('en = "To serve"', 'en = "To help"', "words_changed", "query.purpose", False),
    ],
)
def test_each_change_is_named_where_it_is_and_marked_where_it_breaks(old, new, kind, where, breaking):
    assert (kind, where, breaking) in changed(old, OLD.replace(old, new, 1))


def test_operations_that_come_and_go():
    new = OLD.replace('id = "find"', 'id = "seek"').replace('lookup = "find"', 'lookup = "seek"')
    found = changed('id = "find"', new)
    assert ("operation_removed", "find", True) in found
    assert ("operation_added", "seek", False) in found


def test_equal_manifests_differ_in_nothing_and_a_first_version_is_all_new():
    same = parse(OLD.encode())
    assert differences(same, same) == []
    assert {raw.kind for raw in differences(None, same)} == {"operation_added"}


def test_both_languages_have_one_digest_and_words_of_their_own():
    old, new = parse(OLD.encode()), parse(OLD.replace('want = "one"\n', "", 1).encode())
    zh, en = (diff(old, b"a", new, b"b", lang) for lang in ("zh", "en"))
    assert zh.digest == en.digest
    assert "不再提供" in as_text(zh, "zh")
    assert as_text(en, "en").splitlines()[1] == "! operation query no longer answers one"
    assert diff(old, b"c", new, b"b", "en").digest != en.digest
