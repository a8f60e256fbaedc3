"""Who will be sent what, and by what right: said before anything is sent."""

import msgspec

from onestop.cases.office import Office
from onestop.cases.service_submit import inputs_of
from onestop.cases.views import CaseView
from onestop.texts import Language
from onestop.web.form import view_of


class Receiver(msgspec.Struct, frozen=True):
    """One department's part of the application."""

    step: str
    department: str
    basis: str
    days: int
    fields: list[str]


def receivers(office: Office, view: CaseView, lang: Language) -> list[Receiver]:
    """Return the parts this application will have, in the item's order, with the values each is handed."""
    item = office.catalogue.get(view.item.code).spec
    found = []
    for part in item.components:
        condition = view_of(view.answers, part.when) if part.when else None
        if part.when is not None and (condition is None or condition.value is not True):
            continue
        wanted = inputs_of(office, item.code, part.code)
        manifest = office.gateway.manifests.get(part.adapter)
        basis = manifest.operation(part.operation).basis if manifest else None
        found.append(
            Receiver(
                step=part.name.say(lang),
                department=office.directory.name(part.adapter, lang),
                basis="" if basis is None else basis.en if lang == "en" else basis.zh,
                days=part.days,
                fields=[field.label.say(lang) for field in item.fields if field.code in wanted],
            )
        )
    return found
