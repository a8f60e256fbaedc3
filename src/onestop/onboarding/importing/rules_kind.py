"""What an operation is for: query, submission, status, look-up, cancellation or health probe, and how sure that is."""

import re
from typing import Final, NamedTuple

from onestop.onboarding.importing.models import Described, OperationKind
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.vocabulary import known

_ASKS: Final = known("kind.asks")
_DOES: Final = known("kind.does")
_ENDS: Final = known("kind.ends")
_WRITES: Final = known("kind.writes")
_STATES: Final = known("kind.states")
_PROBES: Final = known("kind.probes")
_ZH_ASKS: Final = re.compile(r"查询|查找|检索|获取|查看|核验|核查|校验|比对|列表|详情|信息$|统计|下载")
_ZH_DOES: Final = re.compile(
    r"提交|新增|创建|申请|登记|保存|上报|推送|办理|受理|添加|发起|修改|更新|预约|报送|写入|申报"
)
_ZH_ENDS: Final = re.compile(r"撤销|取消|撤回|删除|作废|注销")
_ZH_STATES: Final = re.compile(r"进度|状态|结果|办理情况")


class Guess(NamedTuple):
    """A kind, why, and whether a person should look at it."""

    kind: OperationKind
    sure: bool
    why: str  # key below `import.why_kind`


def guess(described: Described) -> Guess:
    """Guess from method, name, path and the words of the document; never from the bodies."""
    path = described.path.rstrip("/")
    segments = [segment for segment in path.split("/") if segment]
    last = segments[-1] if segments else ""
    last_words = set(words_of(last)) if not last.startswith("{") else set()
    lead = words_of(described.name)
    text = described.text
    if described.method == "GET" and (last_words & _PROBES or {"health"} & set(lead[:1])):
        return Guess("probe", True, "probe")
    if described.method == "DELETE":
        return Guess("cancel", True, "delete")
    if described.method == "GET":
        return _read(last_words, text)
    if described.soap is not None:
        return _by_words(lead, set(), text, sure_of_query=True)
    if last_words & _ENDS or _ZH_ENDS.search(text):
        return Guess("cancel", True, "ends")
    if described.method in ("PUT", "PATCH"):
        return Guess("submit", True, "writes")
    found = _by_words(lead, last_words, text, sure_of_query=False)
    if found.kind == "query" and (words_of(text) or [""])[0] in _WRITES:
        return Guess("submit", False, "post")  # `verifyOtp`: "Create an account…"; what is written once is not repeated
    return found


def _read(last_words: set[str], text: str) -> Guess:
    if last_words & _STATES or _ZH_STATES.search(text):
        return Guess("status", True, "status_words")
    return Guess("query", True, "safe")


def _by_words(lead: list[str], last_words: set[str], text: str, *, sure_of_query: bool) -> Guess:
    first = lead[0] if lead else ""
    lead = lead[1:] if first in ("post", "do", "ws", "api") else lead
    first = lead[0] if lead else ""
    if first in _ENDS or (_ZH_ENDS.search(text) and first not in _ASKS):
        return Guess("cancel", True, "ends")
    if set(lead) & _STATES and (first in _ASKS or not set(lead) & _DOES):
        return Guess("status", True, "status_words")
    if first in _DOES and not last_words & _ASKS:
        return Guess("submit", True, "does")
    if first in _ASKS or last_words & _ASKS or (lead and lead[-1] in _ASKS):
        return Guess("query", sure_of_query, "asks")
    if _ZH_STATES.search(text) and _ZH_ASKS.search(text):
        return Guess("status", True, "status_words")
    if _ZH_ASKS.search(text) and not _ZH_DOES.search(text):
        return Guess("query", sure_of_query, "asks")
    said = (words_of(text) or [""])[0]
    if said in _ASKS and said not in _DOES:
        return Guess("query", sure_of_query, "asks")
    if set(lead) & _DOES or last_words & _DOES or _ZH_DOES.search(text) or said in _DOES:
        return Guess("submit", True, "does")
    if set(lead) & _ASKS:
        return Guess("query", False, "asks")
    return Guess("submit", False, "post")
