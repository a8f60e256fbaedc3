"""Controllers of items: the public catalogue. They are handed `office`, whose items these are, and `context`."""

from typing import Any

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery

from onestop.directory.models import Directory
from onestop.http.models import Context
from onestop.items import service
from onestop.items.models import ItemGuide, ItemList
from onestop.items.service import Catalogue

_MOST = 50


async def _catalogue(office: NamedDependency[Any]) -> Any:
    return office.catalogue


async def _directory(office: NamedDependency[Any]) -> Any:
    return office.directory


_FROM_OFFICE = {"catalogue": Provide(_catalogue), "directory": Provide(_directory)}


class ItemController(Controller):
    """What can be applied for; open to everybody."""

    path = "/v1/items"
    tags = ("items",)
    dependencies = _FROM_OFFICE

    @get("/", operation_id="findItems", opt={"public": True})
    async def find(
        self,
        catalogue: NamedDependency[Catalogue],
        directory: NamedDependency[Directory],
        context: NamedDependency[Context],
        q: FromQuery[str] = "",
        limit: FromQuery[int] = 20,
    ) -> ItemList:
        """Items that answer a question in everyday words, best first; all of them where nothing is asked."""
        return service.search(catalogue, directory, q[:100], context.lang, max(1, min(limit, _MOST)))

    @get("/{code:str}", operation_id="getItem", opt={"public": True})
    async def guide(
        self,
        catalogue: NamedDependency[Catalogue],
        directory: NamedDependency[Directory],
        context: NamedDependency[Context],
        code: FromPath[str],
    ) -> ItemGuide:
        """The guide of one item: what it asks, where answers come from, which departments act, how long it takes."""
        return service.guide(catalogue, directory, code, context.lang)


CONTROLLERS = [ItemController]
