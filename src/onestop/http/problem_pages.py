"""Problems for reading: the pages at /problems, and docs/errors.md. Both from the classes and the texts alone."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

import onestop
from onestop.errors import Actor, NotFound, OnestopError, Retry, Stage, UpstreamFailed
from onestop.http.problems import LANGUAGE_TAGS, Problem, context_of, status_of
from onestop.texts import LANGUAGES, Language, catalogue, text

_WITHOUT_FAILURES = ("onestop.app", "onestop.worker", "onestop.parts", "onestop.cli", "onestop.demo")
PARTS = ("title", "detail", "cause", "fix")

pages = jinja2.Environment(
    loader=jinja2.PackageLoader("onestop.http", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class ProblemKind(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which onestop refuses, in one language."""

    code: str
    status: int | None  # None: only ever inside an answer, as what became of one part of it
    stage: Stage
    who_acts: Actor
    retry: Retry
    title: str
    cause: str
    fix: str


class ProblemList(msgspec.Struct, frozen=True):
    """Every problem code, in alphabetical order."""

    data: list[ProblemKind]


def _below(kind: type[OnestopError]) -> list[type[OnestopError]]:
    return [k for child in kind.__subclasses__() for k in (child, *_below(child))]


def kinds() -> list[type[OnestopError]]:
    """Return every failure of onestop's own modules that are loaded, by code; each class once."""
    found = {k for k in _below(OnestopError) if k.__module__.startswith("onestop.") and "code" in vars(k)}
    return sorted(found, key=lambda k: (k.code, k.__name__))


def load_all() -> None:
    """Import every module that may hold failures: all but the assembly, the commands and the demo world."""
    for module in pkgutil.walk_packages(onestop.__path__, "onestop."):
        if not module.name.startswith(_WITHOUT_FAILURES) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def part_codes() -> list[str]:
    """Return the codes that only parts of an answer carry: the texts know them, and no failure is raised with them."""
    raised = {kind.code for kind in kinds()}
    told = (key[8:-6] for key in catalogue("zh") if key.startswith("problem.upstream.") and key.endswith(".title"))
    return sorted(code for code in told if code not in raised)


def described(kind: type[OnestopError] | str, lang: Language) -> ProblemKind:
    """Return what is told about a failure, or about a part's code, in one language."""
    of, code = (UpstreamFailed, kind) if isinstance(kind, str) else (kind, kind.code)
    return ProblemKind(
        code=code,
        status=None if isinstance(kind, str) else status_of(of),
        stage=of.stage,
        who_acts=of.who_acts,
        retry=of.retry,
        title=text(f"problem.{code}.title", lang),
        cause=text(f"problem.{code}.cause", lang),
        fix=text(f"problem.{code}.fix", lang),
    )


def everything(lang: Language) -> list[ProblemKind]:
    """Return every code there is, in alphabetical order."""
    told = [described(kind, lang) for kind in kinds()] + [described(code, lang) for code in part_codes()]
    return sorted(told, key=lambda kind: kind.code)


def render(name: str, lang: Language, **values: Any) -> bytes:
    """Return one of the room's pages; `t(key)` in a template is the text of that key."""

    def words(key: str, **params: object) -> str:
        return text(key, lang, **params)

    return pages.get_template(name).render(t=words, lang=LANGUAGE_TAGS[lang], **values).encode()


def refusal_page(told: Problem, lang: Language) -> bytes:
    """Return the page a person sees in place of what was asked for."""
    return render("refusal.html", lang, problem=told, fix=text(f"problem.{told.code}.fix", lang))


def _wants_json(request: Request[Any, Any, Any]) -> bool:
    return b"application/json" in context_of(request.scope).headers.get(b"accept", b"")


def _reply(request: Request[Any, Any, Any], value: Any, template: str, **values: Any) -> Response[Any]:
    lang = context_of(request.scope).lang
    headers = {"content-language": LANGUAGE_TAGS[lang], "vary": "Accept, Accept-Language"}
    if _wants_json(request):
        return Response(value, media_type="application/json", headers=headers)
    return Response(render(template, lang, **values), media_type="text/html", headers=headers)


@get("/problems", opt={"public": True}, include_in_schema=False)
async def list_problems(request: Request[Any, Any, Any]) -> Response[Any]:
    """Every problem code, as a page or as JSON."""
    lang = context_of(request.scope).lang
    told = ProblemList(everything(lang))
    return _reply(request, told, "problems.html", problems=told.data)


@get("/problems/{code:str}", opt={"public": True}, include_in_schema=False)
async def show_problem(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """What a problem code means, what to do and who has to do it."""
    told = next((told for told in everything(context_of(request.scope).lang) if told.code == code), None)
    if told is None:
        raise NotFound
    return _reply(request, told, "problem.html", problem=told)


def _row(*told: ProblemKind) -> str:
    first = told[0]
    status = "in a part" if first.status is None else f"HTTP {first.status}"
    lines = [f"## `{first.code}`", "", " · ".join(words.title for words in told), ""]
    lines += [f"{status}; stage `{first.stage}`; acts: `{first.who_acts}`; retry: `{first.retry}`.", ""]
    for words, lang in zip(told, LANGUAGES, strict=True):
        lines.append(f"- {text('http.page.cause', lang)}: {words.cause}")
        lines.append(f"- {text('http.page.fix', lang)}: {words.fix}")
    return "\n".join([*lines, ""])


def errors_page() -> str:
    """Return the text of docs/errors.md."""
    head = (
        "# Problem codes\n\n"
        "Every refusal is an RFC 9457 problem with one of these codes; a running onestop serves the same at "
        "`/problems/<code>`.\nPrograms go by `code` and `status`, which do not change; the words may.\n"
        "This page is written by `python -m onestop.http.problem_pages`; a test compares it with the code.\n"
    )
    return head + "\n" + "\n".join(map(_row, *map(everything, LANGUAGES)))


def main(path: str = "docs/errors.md") -> None:
    """Write docs/errors.md from the code and the texts."""
    load_all()
    Path(path).write_text(errors_page(), "utf-8")


if __name__ == "__main__":
    # Run as a script this module exists twice; the loaded twin has the classes' own identity.
    importlib.import_module("onestop.http.problem_pages").main()
