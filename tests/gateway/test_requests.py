"""What stands in a path, a query and the headers where a value is a list or a table."""

import pytest

from onestop.gateway.manifest import parse
from onestop.gateway.operations import Prepared
from tests.gateway.department import manifest_text

VALUES = {"payload": {"tags": ["a b", "c,d"], "filter": {"year": 2025, "none": None}, "none": None, "empty": []}}


def asked(keys: str) -> tuple[str, str, dict[str, str]]:
    """Return path, query and headers of an operation whose request has these keys."""
    text = manifest_text("dep").decode()
    head, tail = text.split('\nid = "query"', 1)
    own, rest = tail.split("\n[[operations]]", 1)
    kept = [line for line in own.splitlines() if not line.startswith(("request.", "path"))]
    path = [] if "path = " in keys else ['path = "/x"']
    made = "\n".join([*kept, *path, keys])
    manifest = parse(f'{head}\nid = "query"{made}\n[[operations]]{rest}'.encode())
    path_, query, headers, _ = Prepared(manifest, manifest.operation("query")).request(VALUES)
    return path_, query, dict(headers)


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ('tag = "payload.tags"', "tag=a+b&tag=c%2Cd"),
        ("tag = \"payload.tags | join('|')\"", "tag=a+b%7Cc%2Cd"),
        ('filter = { year = "payload.filter.year" }', "filter%5Byear%5D=2025"),
        ('filter = "payload.filter"', "filter%5Byear%5D=2025&filter%5Bnone%5D="),
        ('empty = "payload.empty", n = "payload.filter.year"', "n=2025"),
    ],
)
def test_a_query_writes_lists_and_tables_as_a_form_does(source, query):
    assert asked(f"request.query = {{ {source} }}")[1] == query


def test_what_gives_nothing_is_left_out_of_a_table_of_the_query_too():
    keys = (
        'request.query = { filter = { a = "payload.none", year = "payload.filter.year" }, b = { c = "payload.none" } }'
    )
    assert asked(keys + "\nrequest.omit_null = true")[1] == "filter%5Byear%5D=2025"


def test_a_path_and_a_header_write_a_list_with_commas():
    keys = 'path = "/x/{tags}"\nrequest.path = { tags = "payload.tags" }\nrequest.headers = { X-Tags = "payload.tags" }'
    path, _, headers = asked(keys)
    assert path == "/x/a%20b%2Cc%2Cd"
    assert headers["X-Tags"] == "a b,c,d"
