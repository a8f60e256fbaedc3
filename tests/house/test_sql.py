"""SQL stands in stores, is never pieced together, and prepares against the migrated schema."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import onestop

pytestmark = pytest.mark.anyio

SOURCE = Path(onestop.__file__).parent
STORES = sorted(SOURCE.glob("**/store*.py"))
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
# What runs before there are stores, or is not a statement over onestop's tables.
ELSEWHERE = {"migrate.py"}


def module_of(path: Path) -> str:
    return "onestop." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def statements() -> list[tuple[str, str, str]]:
    found = []
    for path in STORES:
        module = importlib.import_module(module_of(path))
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                found.append((module.__name__, name, value))
    return found


@pytest.mark.parametrize(("module", "name", "sql"), statements(), ids=lambda value: value if len(value) < 60 else "sql")
async def test_every_statement_prepares_against_the_schema(pool, module, name, sql):
    async with pool.acquire() as db:
        await db.prepare(sql)


@pytest.mark.parametrize(("module", "name", "sql"), statements(), ids=lambda value: value if len(value) < 60 else "sql")
def test_every_list_has_a_limit_and_no_statement_says_everything(module, name, sql):
    words = re.sub(r"\s+", " ", sql.upper())
    assert not re.search(r"SELECT \*(?! FROM UNNEST)", words.replace("$1, *", "$1, COLUMNS")), f"{module}.{name}"
    if words.strip().startswith("SELECT") and " LIMIT " not in words + " ":
        # Without a limit a statement must name one row by its key, or count.
        one = re.search(r"\b([A-Z]+_)?(ID|KEY|NUMBER|NAME|HASH|INDEX|KID)\b\s*=\s*(\$|')", words)
        assert (
            one
            or "NEXTVAL" in words
            or "COUNT(" in words
            or "MAX(" in words
            or "PG_NOTIFY" in words
            or " FROM " not in words
        ), f"{module}.{name}"


LEDGER = {"audit_entries": {"detail", "leaf"}, "data_uses": {"content", "leaf"}}


def test_every_statement_that_writes_into_the_ledger_writes_what_its_leaf_is_of():
    """Where the leaf is left to the sealer, a row can be changed unseen until then; and `uses` is the past's column."""
    found = [
        (f"{module}.{name}", into[1], {column.strip() for column in into[2].split(",")})
        for module, name, sql in statements()
        for into in re.finditer(r"INSERT INTO\s+(audit_entries|data_uses)\s*\(([^)]*)\)", sql)
    ]
    assert {table for _, table, _ in found} == set(LEDGER)
    assert [one for one in found if not LEDGER[one[1]] <= one[2] or "uses" in one[2]] == []
    assert not [name for _, name, sql in statements() if re.search(r"UPDATE\s+(audit_entries|data_uses)\b", sql)]


def test_there_are_statements_to_look_at():
    assert len(statements()) > 40


@pytest.mark.parametrize("path", sorted(SOURCE.glob("**/*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_sql_outside_stores_and_none_from_pieces(path):
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    telling = re.compile(
        r"\s*(SELECT\s+[\w$(*].*|INSERT INTO\s+\w+.*|UPDATE\s+\w+\s+SET\b.*|DELETE FROM\s+\w+.*)", re.DOTALL
    )
    allowed = path in STORES or path.name in ELSEWHERE
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and not allowed
        ):
            assert not telling.fullmatch(node.value), f"line {node.lineno}: SQL belongs into a store"
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            pieces = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            if telling.match(text):
                # Only a constant of the same file may be named, such as a list of columns.
                constants = [isinstance(piece, ast.Name) and piece.id.isupper() for piece in pieces]
                assert all(constants), f"line {node.lineno}: SQL from pieces"


def test_a_store_is_imported_by_its_own_room_only():
    for path in SOURCE.glob("**/*.py"):
        room = path.relative_to(SOURCE).parts[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = []
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            for name in named:
                parts = name.split(".")
                if len(parts) > 2 and parts[0] == "onestop" and any(part.startswith("store") for part in parts[2:]):
                    assert parts[1] == room or path.name == "worker.py", f"{path.relative_to(SOURCE)} imports {name}"
