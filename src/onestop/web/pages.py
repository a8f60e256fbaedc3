"""The paper pages are printed on: the templates' environment, the frame every page has, the ways to answer."""

from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import jinja2
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.status_codes import HTTP_303_SEE_OTHER
from markupsafe import Markup

from onestop.http import assets
from onestop.http.models import Context
from onestop.http.problems import LANGUAGE_TAGS
from onestop.identity.service import Sessions
from onestop.settings import Settings
from onestop.texts import LANGUAGES, Language, text
from onestop.web import words

LANGUAGE_COOKIE: Final = "onestop-lang"
_A_YEAR: Final = 365 * 86_400

STATIC: Final = resources.files("onestop.web") / "static"
_TAGS: Final = {
    f"{folder}{name}": asset.tag.strip('"')
    for folder, files in (("", assets.read(STATIC)), ("vendor/", assets.read(STATIC / "vendor")))
    for name, asset in files.items()
}

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("onestop.web", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def asset(name: str) -> str:
    """Return the address of a file in `static/`; it changes with the file."""
    return f"/assets/{name}?v={_TAGS[name]}"


def picture(svg: str) -> Markup:
    """Return a picture drawn by onestop itself, which has escaped every text in it."""
    return Markup(svg)  # noqa: S704


class Paper:
    """One request's page: language, frame, who is signed in."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        context: Context,
        settings: Settings | None,
        acting_for: str | None = None,
    ) -> None:
        self.context = context
        self._acting_for = acting_for  # the name of whom somebody acts for; None: nobody, or not found out
        self.lang: Language = context.lang
        self._request = request
        self._settings = settings
        self._cookies: list[Cookie] = []

    def say(self, key: str, **params: object) -> str:
        """Return one of the pages' own texts."""
        return text(f"web.{key}", self.lang, **params)

    def set_cookie(self, name: str, value: str, *, max_age: int) -> None:
        """Send a cookie with the answer; one of age zero is taken away."""
        secure = name.startswith("__Host-")
        self._cookies.append(
            Cookie(key=name, value=value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax")
        )

    def show(self, template: str, *, status: int = 200, **values: object) -> Response[bytes]:
        """Return a page."""
        headers = {"content-language": LANGUAGE_TAGS[self.lang], "vary": "Accept-Language, Cookie"}
        body = _templates.get_template(template).render(self._frame() | values).encode()
        media = "text/html"
        return Response(body, status_code=status, media_type=media, headers=headers, cookies=self._all_cookies())

    def go(self, location: str) -> Response[None]:
        """Return the way to another page of onestop."""
        headers = {"location": location}
        return Response(None, status_code=HTTP_303_SEE_OTHER, headers=headers, cookies=self._all_cookies())

    def _frame(self) -> dict[str, object]:
        session = self.context.session
        return {
            "t": self.say,
            "word": lambda key, **params: text(key, self.lang, **params),
            "day": lambda value: words.day(value, self.lang),
            "at": lambda value: words.instant(value, self.lang),
            "days_in": lambda sentence: words.days_in(sentence, self.lang),
            "asset": asset,
            "lang": self.lang,
            "tag": LANGUAGE_TAGS[self.lang],
            "languages": [(lang, LANGUAGE_TAGS[lang], self._address_in(lang)) for lang in LANGUAGES],
            "role": session.role if session is not None else None,
            "acting": self.context.acting,
            "acting_for": self._acting_for,
            "here": self.context.path,
            "request_id": self.context.request_id,
            "demo": self._settings is not None and self._settings.profile != "production",
        }

    def _query(self) -> list[tuple[str, str]]:
        raw: bytes = self._request.scope["query_string"]
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True)

    def _address_in(self, lang: Language) -> str:
        query = [pair for pair in self._query() if pair[0] != "lang"]
        return f"{quote(self.context.path)}?{urlencode([*query, ('lang', lang)])}"

    def _all_cookies(self) -> list[Cookie]:
        chosen = dict(self._query()).get("lang")
        if chosen in LANGUAGES:
            self.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_A_YEAR)
        return self._cookies


async def provide_paper(
    request: Request[Any, Any, Any],
    context: NamedDependency[Context],
    settings: NamedDependency[Settings],
    sessions: NamedDependency[Sessions],
) -> Paper:
    """Hand over the paper for this request's page; where somebody acts for another, every page says for whom."""
    acting_for = (await sessions.person(context.session.subject_id)).name if context.acting else None
    return Paper(request, context, settings, acting_for)
