"""Controller of imports: a document in, findings, questions and a manifest out. Nothing is kept."""

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from onestop.onboarding.importing.desk import Importer
from onestop.onboarding.importing.models import Imported
from onestop.onboarding.importing.unpacking import MAX_BYTES
from onestop.onboarding.importing.views import ImportDocument
from onestop.settings import Settings


class ImportController(Controller):
    """Departments bring the document of their system."""

    path = "/v1/adapter-imports"
    tags = ("departments",)

    @post(
        "/",
        operation_id="importDocument",
        status_code=200,
        opt={"roles": ("department", "operator"), "max_body": MAX_BYTES, "refusals": (413, 422, 503)},
    )
    async def import_document(
        self, importer: NamedDependency[Importer], settings: NamedDependency[Settings], data: JSONBody[ImportDocument]
    ) -> Imported:
        """Read an OpenAPI document or WSDL: what it describes, what it leaves open, the manifest once all is answered.

        Nothing is kept and nothing is fetched: send the document again with more answers until `open` is empty."""
        return await importer.run(data, settings.region)


CONTROLLERS = [ImportController]
