"""How purposes and consents are put into words."""

from datetime import datetime

from onestop.basis import rules
from onestop.basis.models import Consent, Law, Purpose
from onestop.basis.purposes import Purposes, Retention, notice_hash
from onestop.basis.views import ConsentView, LawView, NoticeView, PurposeView, RetentionView
from onestop.texts import Language, text


def purpose_view(
    purposes: Purposes, purpose: Purpose, newest: Consent | None, subject: str, now: datetime, lang: Language
) -> PurposeView:
    """Return a purpose as the person sees it, with the newest of their consents."""
    return PurposeView(
        purpose=purpose.code,
        title=purpose.title.say(lang),
        kind=purpose.kind,
        separate=list(purpose.separate),
        law=law_view(purpose.law, lang),
        notice=NoticeView(
            version=purpose.version, lang=lang, text=purpose.notice.say(lang), hash=notice_hash(purpose, lang)
        ),
        categories=[one.say(lang) for one in purpose.categories],
        recipients=[one.say(lang) for one in purpose.recipients],
        retention=retention_view(purposes.classes[purpose.retention], lang),
        consent=_consent(purpose, newest, subject, now, lang) if purpose.kind == "consent" else None,
    )


def law_view(law: Law, lang: Language) -> LawView:
    """Return an article in one language."""
    return LawView(article=law.article.say(lang), source=law.source, in_force=law.in_force, confidence=law.confidence)


def retention_view(kept: Retention, lang: Language) -> RetentionView:
    """Return how long a class of record is kept, in one language."""
    return RetentionView(
        name=kept.name.say(lang), days=kept.days, counted_from=kept.counted.say(lang), law=law_view(kept.law, lang)
    )


def _consent(purpose: Purpose, newest: Consent | None, subject: str, now: datetime, lang: Language) -> ConsentView:
    state = rules.state_of(purpose, newest, now)
    says = text(f"basis.consent.{state}", lang)
    if newest is None:
        return ConsentView(state=state, says=says)
    return ConsentView(
        state=state,
        says=says,
        version=newest.version,
        given_at=newest.given_at,
        expires_at=newest.expires_at,
        ended_at=newest.ended_at,
        by_guardian=newest.given_by != subject,
    )
