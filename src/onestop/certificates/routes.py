"""Controllers of certificates: the public check and the public keys. They are handed `office` (whose
issuer and basis it is), `pool`, `settings` and `context` by name."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody

from onestop.basis.service import Basis
from onestop.certificates import routes_documents, routes_licence_uses, routes_licences, service
from onestop.certificates.models import CheckCertificate, CheckResult
from onestop.certificates.service import Issuer
from onestop.db import Pool
from onestop.http.models import Context
from onestop.settings import Settings


async def _issuer(office: NamedDependency[Any]) -> Any:
    return office.issuer


async def _basis(office: NamedDependency[Any]) -> Any:
    return office.basis


class CertificateController(Controller):
    """Is this paper genuine? Open to everybody who holds number and code."""

    path = "/v1"
    tags = ("certificates",)
    dependencies = {"issuer": Provide(_issuer), "basis": Provide(_basis)}  # noqa: RUF012 - litestar's name and type

    @post(
        "/certificate-checks", operation_id="checkCertificate", status_code=200, opt={"public": True, "max_body": 1024}
    )
    async def check(
        self,
        issuer: NamedDependency[Issuer],
        pool: NamedDependency[Pool],
        basis: NamedDependency[Basis],
        settings: NamedDependency[Settings],
        context: NamedDependency[Context],
        data: JSONBody[CheckCertificate],
    ) -> CheckResult:
        """Tell whether a certificate is genuine; nothing personal is told, and nothing without the right code."""
        return await service.check(pool, issuer, basis, settings.region, data, context.lang)

    @get("/certificate-keys", operation_id="getCertificateKeys", opt={"public": True})
    async def keys(self, issuer: NamedDependency[Issuer]) -> Response[dict[str, Any]]:
        """The public keys (JWK set) with which anyone can check a certificate's signature without asking onestop."""
        return Response(issuer.jwks(), headers={"cache-control": "public, max-age=300"})


CONTROLLERS = [
    CertificateController,
    *routes_licences.CONTROLLERS,
    *routes_licence_uses.CONTROLLERS,
    *routes_documents.CONTROLLERS,
]
