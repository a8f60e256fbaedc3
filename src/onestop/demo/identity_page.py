"""What the demo's national identity platform shows: one page of buttons, without script, in Chinese and English."""

from collections.abc import Sequence
from html import escape

from onestop.demo.accounts import Account, accounts
from onestop.texts import Language, text

_STYLE = """
body{margin:0;font:1rem/1.6 system-ui,sans-serif;color:#1b1b1b;background:#f4f4f2}
main{max-width:44rem;margin:2rem auto;padding:1.5rem;background:#fff;border-top:6px solid #a3182a}
h1{font-size:1.5rem;margin-top:0}
summary{font-weight:600;padding:.5rem 0;cursor:pointer}
ul{list-style:none;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.5rem}
button{width:100%;min-height:3rem;text-align:left;font:inherit;padding:.5rem .75rem;border:1px solid #595959;
background:#fff;color:inherit;cursor:pointer}
button:hover{background:#f0f0ee}
button:focus-visible,summary:focus-visible{outline:3px solid #1d5fd1;outline-offset:2px}
small{display:block;color:#4a4a4a}
fieldset{border:1px solid #595959}
label{display:block;min-height:2rem}
"""


def say(key: str, lang: Language) -> str:
    """Return one of the platform's texts, safe inside HTML."""
    return escape(text(f"national.{key}", lang))


def people_page(name: str, acrs: Sequence[str], lang: Language) -> str:
    """Return the page on which a person is picked for the request kept under `name`.

    `acrs` are the ways to prove oneself that are good enough, weakest first; the surest is chosen beforehand.
    """
    groups = (
        ("citizens", [a for a in accounts() if a.role == "citizen" and not a.trigger], True),
        ("staff", [a for a in accounts() if a.role in ("clerk", "governance", "operator")], True),
        ("departments", [a for a in accounts() if a.role == "department"], False),
        ("triggers", [a for a in accounts() if a.trigger], False),
    )
    parts = [f"<h1>{say('title', lang)}</h1><p>{say('explain', lang)}</p>"]
    parts.append(f'<form method="post" action="/authorize"><input type="hidden" name="request" value="{escape(name)}">')
    ways = "".join(_way(acr, lang, chosen=acr == acrs[-1]) for acr in acrs)
    parts.append(f"<fieldset><legend>{say('how', lang)}</legend>{ways}</fieldset>")
    for key, members, open_ in groups:
        buttons = "".join(f"<li>{_button(account, lang)}</li>" for account in members)
        parts.append(
            f"<details{' open' if open_ else ''}><summary>{say(key, lang)}</summary><ul>{buttons}</ul></details>"
        )
    parts.append(f'<p><button name="cancel" value="1">{say("cancel", lang)}</button></p></form>')
    return frame(lang, "".join(parts))


def _way(acr: str, lang: Language, *, chosen: bool) -> str:
    checked = " checked" if chosen else ""
    return f'<label><input type="radio" name="acr" value="{acr}"{checked}> {say(acr, lang)}</label>'


def _button(account: Account, lang: Language) -> str:
    shown = account.name if lang == "zh" or not account.name_en else f"{account.name_en} {account.name}"
    why = f"<small>{escape(account.why)}</small>" if account.why else ""
    return f'<button name="person" value="{escape(account.key)}">{escape(shown)}{why}</button>'


def frame(lang: Language, body: str) -> str:
    """Return a whole page around its main part."""
    tag = "zh-CN" if lang == "zh" else "en"
    return (
        f'<!doctype html><html lang="{tag}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{say('title', lang)}</title><style>{_STYLE}</style><main>{body}</main></html>"
    )
