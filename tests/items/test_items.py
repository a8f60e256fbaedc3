"""Items as data: what is refused, what a search finds, what the guide says."""

import pytest

from onestop.cases.office import departments
from onestop.gateway import manifest as manifests
from onestop.items import service
from onestop.items.errors import BadItem, ItemUnknown
from onestop.resources import shipped

CATALOGUE = service.load()
MANIFESTS = manifests.load(shipped("adapters"))
DIRECTORY = departments(MANIFESTS)
BIRTH = (service.DATA / "birth.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('code = "birth"', 'code = "birth"\ncolour = "red"', "unknown field"),
        ("promised_days = 5", "promised_days = -1", "promised_days"),
        ('needs = ["register_birth"]', 'needs = ["nobody"]', "does not come before it"),
        ("results.register_birth.id_number", "results.vaccination_card.card_no", "not among its needs"),
        ('"answers.baby.sex"', '"answers.baby.colour"', "which the form does not ask"),
        ('"answers.baby.sex"', '"household.address"', "begins with none of"),
        ('when = "mother.insured"', 'when = "mother.name"', "no boolean field"),
        ('optional = ["father_name", "father_id"]', 'optional = ["uncle"]', "`optional` names"),
        ('path = "address"', 'path = "address | shout"', "shout"),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused_with_the_reason(old, new, says):
    assert old in BIRTH
    with pytest.raises(BadItem) as refused:
        service.parse(BIRTH.replace(old, new, 1).encode(), "birth.toml")
    assert says in str(refused.value)


def test_two_items_of_one_code_are_refused(tmp_path):
    (tmp_path / "again.toml").write_text(BIRTH, "utf-8")
    with pytest.raises(BadItem):
        service.load([tmp_path])


def test_an_item_of_an_own_folder_is_offered_beside_those_shipped(tmp_path):
    (tmp_path / "own.toml").write_text(BIRTH.replace('code = "birth"', 'code = "bench-five"', 1), "utf-8")
    assert set(service.load([tmp_path]).items) == {"birth", "child-guidance", "bench-five"}


def test_every_component_and_source_of_a_shipped_item_is_an_operation_of_a_shipped_adapter():
    wants = {o.want for m in MANIFESTS.values() for o in m.operations if o.kind == "query"}
    for ready in CATALOGUE.items.values():
        assert set(ready.wants) <= wants
        assert ready.spec.lead in MANIFESTS
        for part in ready.spec.components:
            assert MANIFESTS[part.adapter].operation(part.operation).kind == "submit"


def test_the_days_of_the_newborn_bundle_are_those_published():
    days = [part.days for part in CATALOGUE.get("birth").spec.components]
    assert sorted(days) == [1, 1, 5, 10, 15, 20, 30]
    assert CATALOGUE.get("birth").spec.promised_days == 5


@pytest.mark.parametrize(
    "query", ["孩子上户口", "新生儿", "出生证", "生孩子办什么", "newborn", "birth certificate", "医保", ""]
)
def test_everyday_words_find_the_item(query):
    assert service.search(CATALOGUE, DIRECTORY, query, "zh").data[0].code == "birth"


@pytest.mark.parametrize("query", ["驾驶证换证", "zzz", "@@"])
def test_what_nothing_answers_finds_nothing(query):
    assert service.search(CATALOGUE, DIRECTORY, query, "zh").data == []


def test_an_unknown_item_has_no_guide():
    with pytest.raises(ItemUnknown):
        service.guide(CATALOGUE, DIRECTORY, "nothing", "zh")


def test_the_guide_is_in_the_readers_language():
    zh, en = (service.guide(CATALOGUE, DIRECTORY, "birth", lang) for lang in ("zh", "en"))
    assert zh.name == "新生儿出生一件事"
    assert en.name.startswith("Having a baby")
    assert [part.department.id for part in zh.components] == [
        "weijian",
        "weijian",
        "gongan",
        "renshe",
        "yibao",
        "yibao",
        "zwfw",
    ]
