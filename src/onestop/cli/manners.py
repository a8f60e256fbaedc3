"""Help in the reader's language: every text is looked up by the command's path, none stands beside its code.

`onestop sandbox fail --mode` is explained by `cli.help.sandbox.fail.mode`, the command itself by `…fail.about`.
"""

from collections.abc import Iterable, Iterator

import click

from onestop.cli import widths
from onestop.cli.speech import places
from onestop.texts import Language, has, text

_COMMON = ("json", "state", "lang", "debug")
_lang: Language = "en"


class Paper(click.HelpFormatter):
    """Help laid out by places, not by characters."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        words = text("cli.page.usage", _lang)
        self.write(f"{words} {prog} {args}".rstrip() + "\n")

    def write_heading(self, heading: str) -> None:
        super().write_heading(text(f"cli.page.{heading.lower()}", _lang))

    def write_text(self, text: str) -> None:
        for line in widths.wrap(text, self.width - self.current_indent):
            self.write(" " * self.current_indent + line + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        first = min(max((widths.width(name) for name, _ in rows), default=0), col_max) + col_spacing
        indent = " " * self.current_indent
        for name, about in rows:
            lines = widths.wrap(about, max(20, self.width - self.current_indent - first)) or [""]
            if widths.width(name) + col_spacing > first:
                self.write(f"{indent}{name}\n")
                name = ""
            self.write(f"{indent}{widths.pad(name, first)}{lines[0]}".rstrip() + "\n")
            for line in lines[1:]:
                self.write(indent + " " * first + line + "\n")


class Page(click.Context):
    """A context whose help is written on `Paper`."""

    def make_formatter(self) -> click.HelpFormatter:
        return Paper(width=min(places(), 100))


def localise(command: click.Command, lang: Language, path: tuple[str, ...] = ()) -> None:
    """Give a command, its options and its subcommands their words."""
    global _lang
    _lang = lang
    command.context_class = Page
    command.help = command.short_help = text(key_of(path, "about"), lang)
    command.options_metavar = text("cli.page.options_metavar", lang)
    help_option = command.get_help_option(click.Context(command))
    if help_option is not None:
        help_option.help = text("cli.help.common.help", lang)
    for param in command.params:
        if isinstance(param, click.Option) and param is not help_option:
            param.help = text(key_of(path, _name(param)), lang)
    if isinstance(command, click.Group):
        command.subcommand_metavar = text("cli.page.subcommand_metavar", lang)
        for name, sub in command.commands.items():
            localise(sub, lang, (*path, name))


def key_of(path: tuple[str, ...], name: str) -> str:
    """Return where the words of one option stand; `about` is the command itself."""
    return f"cli.help.common.{name}" if name in _COMMON else ".".join(("cli.help", *path, name))


def _name(param: click.Option) -> str:
    return max(param.opts, key=len).lstrip("-").replace("-", "_")


def unexplained(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the keys that a command and its subcommands need and a catalogue lacks."""
    names = [_name(p) for p in command.params if isinstance(p, click.Option) and "--help" not in p.opts]
    yield from (key for key in (key_of(path, name) for name in ["about", *names]) if not has(key))
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            yield from unexplained(sub, (*path, name))
