"""Controller: the public status."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from onestop.http.models import Context
from onestop.overview.status import PublicStatus, StatusBoard


class StatusController(Controller):
    """Whether anything is left lying here, and how the departments are."""

    path = "/v1/public"
    tags = ("status",)

    @get("/status", operation_id="getPublicStatus", opt={"public": True})
    async def status(
        self, context: NamedDependency[Context], status_board: NamedDependency[StatusBoard]
    ) -> Response[PublicStatus]:
        """Open steps without an owner (must be 0, with the name of the SQL that counts them), the oldest unknown, and
        every department: its state from real traffic, since when, what is open, when it last did something.
        """
        headers = {"cache-control": "public, max-age=3", "vary": "Accept-Language"}
        return Response(await status_board.show(context.lang), headers=headers)


CONTROLLERS = [StatusController]
