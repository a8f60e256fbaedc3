"""Documents of our own, with oddities, and the answers that every import needs."""

from pathlib import Path
from typing import Any

import pytest

from onestop.onboarding.importing.models import Imported
from onestop.onboarding.importing.service import import_document

DOCUMENTS = Path(__file__).parent / "documents"
ANSWERS: dict[str, Any] = {
    "region": "990100",
    "department": {
        "code": "11990100MB9T0002XE",
        "name": {"zh": "某局", "en": "Some Bureau"},
        "officer": {"zh": "某处处长", "en": "Head of a division"},
        "contact": "desk@example.com",
    },
    "basis": {"zh": "《数据安全法》", "en": "Data Security Law"},
    "purpose": {"zh": "办理本人事项", "en": "The person's own matter"},
}
SMALL = {"openapi": "3.0.1", "info": {"title": "Small"}, "paths": {"/a": {"get": {"responses": {"200": {}}}}}}


@pytest.fixture
def answers() -> dict[str, Any]:
    return {**ANSWERS}


def read(name: str, **more: Any) -> Imported:
    """Import one of our documents with what lies beside it."""
    path = DOCUMENTS / name
    beside = {
        found.relative_to(path.parent).as_posix(): found.read_bytes()
        for found in path.parent.rglob("*")
        if found.suffix in (".wsdl", ".xsd") and found != path
    }
    return import_document(path.read_bytes(), path.name, ANSWERS | more, beside)


def imported(document: bytes | str, name: str = "document", **more: Any) -> Imported:
    data = document.encode() if isinstance(document, str) else document
    return import_document(data, name, ANSWERS | more)
