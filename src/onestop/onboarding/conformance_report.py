"""A conformance report as a page to read and print."""

from html import escape

from onestop.onboarding.conformance_models import CheckShown, ReportShown
from onestop.texts import Language, text

_MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}
_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid #ccc;padding:.35rem .6rem;text-align:left;vertical-align:top}
.failed td:first-child{color:#a00;font-weight:700}.skipped{color:#555}.passed td:first-child{color:#060}
@page{size:A4;margin:15mm}
@media print{body{margin:0;max-width:none;font-size:10pt}tr{break-inside:avoid}thead{display:table-header-group}}
"""


def html(report: ReportShown, lang: Language) -> str:
    """Return a report as one whole page: no script, nothing fetched; what failed comes first."""
    order = {"failed": 0, "passed": 1, "skipped": 2}
    rows = "".join(_row(check, lang) for check in sorted(report.checks, key=lambda check: order[check.result]))
    title = text("cli.play.report_title", lang, adapter=report.adapter, version=report.version)
    facts = text(
        "cli.play.report_facts", lang, digest=report.digest[:16], against=report.against,
        at=f"{report.started_at:%Y-%m-%d %H:%M} UTC", took=report.took_s,
    )  # fmt: skip
    heads = "".join(f"<th>{escape(text(f'cli.play.{name}', lang))}</th>" for name in ("result", "check", "fix"))
    opening = escape(verdict(report, lang))
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p><strong>{opening}</strong>"
        f"</p><p>{escape(facts)}</p><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


def verdict(report: ReportShown, lang: Language) -> str:
    """Return the report in one line."""
    words = text("cli.play.green" if report.passed else "cli.play.red", lang)
    return text(
        "cli.play.conformed", lang, adapter=report.adapter, version=report.version, words=words, took=report.took_s,
        **report.counts,
    )  # fmt: skip


def _row(check: CheckShown, lang: Language) -> str:
    sentence, fix = (check.zh, check.fix_zh) if lang == "zh" else (check.en, check.fix_en)
    cells = f"<td>{_MARKS[check.result]}</td><td>{escape(sentence)}</td><td>{escape(fix)}</td>"
    return f'<tr class="{check.result}">{cells}</tr>'
