"""Every table and every state has its word, in both languages, and no word is left of what is gone."""

import re
from typing import get_args

import pytest

from house.pages import DOCS, ROOT, rows, section
from onestop.basis import models as basis
from onestop.cases import models as cases
from onestop.certificates import rules_licences as licences
from onestop.gateway import models as gateway
from onestop.mandates import models as mandates
from onestop.onboarding import models as onboarding
from onestop.overview import views_data_use
from onestop.rights import models as rights

PAGE = DOCS / "vocabulary.md"
STATES = {
    "Part states": gateway.PartState,
    "Effect states": gateway.EffectState,
    "Answers awaited": gateway.AnswerState,
    "Outcomes of an effect": gateway.Outcome,
    "Case states": cases.CaseState,
    "Case outcomes": cases.CaseOutcome,
    "Step states": cases.StepState,
    "Version states": onboarding.VersionState,
    "Run states": onboarding.RunState,
    "Agreement states": onboarding.AgreementState,
    "Licence states": licences.LicenceState,
    "Consent states": basis.ConsentState,
    "Doubt states": cases.DoubtState,
    "Export states": rights.ExportState,
    "Erasure states": rights.ErasureState,
    "Challenge states": views_data_use.ChallengeState,
    "Mandate states": mandates.MandateState,
}


def terms(heading: str) -> set[str]:
    return {row[0].strip("`") for row in rows(section(PAGE, heading))}


@pytest.mark.parametrize("heading", STATES)
def test_states_and_their_words_are_the_same(heading: str) -> None:
    assert terms(heading) == set(get_args(STATES[heading]))


def test_tables_and_their_words_are_the_same() -> None:
    made = "".join(path.read_text("utf-8") for path in ROOT.glob("migrations/*.sql"))
    tables = set(re.findall(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", made))
    assert terms("Tables") == tables | {"schema_migrations"}


def test_every_word_has_its_chinese_and_its_place() -> None:
    for row in rows(PAGE.read_text("utf-8")):
        assert len(row) == 4, row
        assert re.search(r"[\u4e00-\u9fff]", row[1]), f"{row[0]} has no Chinese"
        assert all(row), f"{row[0]} lacks something"
