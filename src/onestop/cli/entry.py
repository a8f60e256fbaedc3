"""Where every command begins and ends: language, parsing, and one sentence for each way to fail."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from onestop.cli import (
    adapter_agreements,
    adapter_life,
    adapter_overrides,
    adapter_play,
    adapter_templates,
    adapter_terms,
    adapters,
    audit,
    cases,
    clients,
    database,
    demo,
    doctor,
    effects,
    importing,
    licences,
    root_keys,
    sandbox,
    serve,
    status,
)
from onestop.cli.manners import Page, localise
from onestop.cli.speech import Exit, Halt, Speaker, language
from onestop.errors import OnestopError, Unavailable, UpstreamFailed, UpstreamTimeout
from onestop.texts import Language, text


class _Root(click.Group):
    """The group `onestop`; its help speaks the reader's language."""

    context_class = Page


@click.group("onestop", cls=_Root, no_args_is_help=True)
@click.option("--lang", type=click.Choice(["zh", "en"]), expose_value=False)
@click.option("--debug", is_flag=True, expose_value=False)
def root() -> None:
    """The words of every command stand in the catalogue `cli`."""


@click.command("version")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def version(speaker: Speaker, as_json: bool) -> None:
    from onestop import __version__

    if as_json:
        speaker.show({"onestop": __version__, "python": sys.version.split()[0]})
    else:
        speaker.line(f"onestop {__version__}")


adapters.adapter.add_command(importing.import_)
# These hang their commands on `adapter` themselves.
_ADDED = (adapter_agreements, adapter_life, adapter_overrides, adapter_play, adapter_templates, adapter_terms)

for command in (
    demo.demo,
    serve.run,
    serve.worker,
    database.db,
    root_keys.keys,
    clients.client,
    doctor.doctor,
    adapters.adapter,
    audit.audit,
    cases.case,
    cases.trace,
    effects.effect,
    licences.licence,
    status.status,
    sandbox.sandbox,
    version,
):
    root.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the number it ends with."""
    args, lang, debug = _common(list(sys.argv[1:] if argv is None else argv))
    speaker = Speaker(lang or language(os.environ), debug=debug)
    localise(root, speaker.lang)
    try:
        return _code(root.main(args, prog_name="onestop", standalone_mode=False, obj=speaker))
    except Exception as fault:
        return _failed(speaker, fault)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _common(args: list[str]) -> tuple[list[str], Language | None, bool]:
    """Take `--lang` and `--debug` out of the arguments, wherever they stand; the parser refuses a wrong one."""
    rest: list[str] = []
    lang: Language | None = None
    debug = False
    waiting = iter(args)
    for arg in waiting:
        if arg == "--debug":
            debug = True
        elif arg in ("--lang=zh", "--lang=en"):
            lang = "zh" if arg.endswith("zh") else "en"
        elif arg == "--lang":
            told = next(waiting, None)
            if told in ("zh", "en"):
                lang = "zh" if told == "zh" else "en"
            else:
                rest = ["--lang", *([told] if told is not None else []), *rest]  # the root's option: refused there
        else:
            rest.append(arg)
    return rest, lang, debug


def _code(result: Any) -> int:
    return int(result) if isinstance(result, int) else int(Exit.OK)


def _failed(speaker: Speaker, fault: Exception) -> int:
    """Say what went wrong and return the number to end with."""
    if speaker.debug and not isinstance(fault, click.ClickException):
        traceback.print_exception(fault)
    match fault:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(fault.ctx.get_help(), err=True)
            return Exit.USAGE
        case click.Abort():
            return Exit.INTERRUPTED
        case click.ClickException():
            speaker.complain(_usage(speaker, fault), speaker.say("usage.fix", command=_path(fault)))
            return Exit.USAGE
        case Halt():
            speaker.complain_of(fault)
            return fault.code
        case BrokenPipeError():
            _drop_output()
            return Exit.FAILED
        case OnestopError():
            return _refused(speaker, fault)
        case OSError():
            speaker.complain(speaker.say("failed.system", reason=str(fault)), speaker.say("failed.debug"))
            return Exit.FAILED
    speaker.complain(
        speaker.say("failed.defect", reason=f"{type(fault).__name__}: {fault}"), speaker.say("failed.debug")
    )
    return Exit.FAILED


def _refused(speaker: Speaker, fault: OnestopError) -> int:
    said = str(fault)
    if said == fault.code:  # no sentence of its own: the catalogue's, as the API would say it
        said = text(f"problem.{fault.code}.detail", speaker.lang, **fault.params)
    said += "".join(f"\n  - {text(f'field.{e.code}', speaker.lang, **e.params)}" for e in fault.errors)
    speaker.complain(said, speaker.fix_of(fault.code, **fault.params))
    if fault.code in ("settings.bad", "manifest.bad"):
        return Exit.CONFIGURATION
    return Exit.UNREACHABLE if isinstance(fault, UpstreamFailed | UpstreamTimeout | Unavailable) else Exit.FAILED


def _usage(speaker: Speaker, fault: click.ClickException) -> str:
    match fault:
        case click.exceptions.NoSuchCommand(command_name=name, possibilities=near):
            return speaker.say("usage.no_such_command", name=name) + _near(speaker, near)
        case click.exceptions.NoSuchOption(option_name=name, possibilities=near):
            return speaker.say("usage.no_such_option", name=name) + _near(speaker, near)
        case click.exceptions.MissingParameter(param=param) if param is not None:
            return speaker.say("usage.missing", name=param.make_metavar(fault.ctx) if fault.ctx else param.name)
        case click.exceptions.BadParameter(param=param) if param is not None:
            return speaker.say("usage.bad", name=param.opts[-1], reason=fault.message)
    return fault.format_message()


def _near(speaker: Speaker, near: Sequence[str] | None) -> str:
    return " " + speaker.say("usage.did_you_mean", near=", ".join(near)) if near else ""


def _path(fault: click.ClickException) -> str:
    context = getattr(fault, "ctx", None)
    return context.command_path if context is not None else "onestop"


def _drop_output() -> None:
    """Forget what the closed pipe did not take, so that nothing complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
