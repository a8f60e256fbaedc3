"""Rules cited in the code are those of docs/rules.md, both ways, and each says its source and its confidence."""

import re
from pathlib import Path

import onestop

SOURCE = Path(onestop.__file__).parent
DOCUMENT = SOURCE.parent.parent / "docs" / "rules.md"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (R-\d{3}) ", DOCUMENT.read_text("utf-8"), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_rules_in_code_and_document_are_the_same():
    cited = {
        rule for path in SOURCE.glob("**/*.py") for rule in re.findall(r"Rule: (R-\d{3})", path.read_text("utf-8"))
    }
    assert cited == set(sections())


def test_every_rule_has_a_source_and_a_confidence():
    lacking = [rule for rule, text in sections().items() if "Source:" not in text or "Confidence:" not in text]
    assert lacking == []
