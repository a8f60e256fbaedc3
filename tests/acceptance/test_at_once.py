"""Twenty at once where only one may be: one draft, one edit, one submission, one answer at the desk."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from onestop.demo.visitor import Answer, Visitor

from .city import City, await_steps, case_of, fresh_key, only_desk_left

MANY = 20


def at_once(who: Callable[[], Visitor], work: Callable[[Visitor], Answer]) -> list[Answer]:
    """Let many clients do the same at the same time, each over a connection of its own."""
    visitors = [who() for _ in range(MANY)]
    with ThreadPoolExecutor(MANY) as together:
        return list(together.map(work, visitors))


def told(answers: list[Answer]) -> Counter[str]:
    return Counter(str(answer) for answer in answers)


def test_of_twenty_at_once_one_is_taken(city: City):
    def wang() -> Visitor:
        return city.visitor("wang")

    key = fresh_key()
    opened = at_once(wang, lambda v: v.post("/v1/cases", {"item": "birth"}, idempotency_key=key))
    made = {a.json()["id"] for a in opened if a.status == 201}
    assert len(made) == 1
    assert set(told(opened)) <= {"201", "409 idempotency.in_progress"}
    [case_id] = made
    path = f"/v1/cases/{case_id}"

    typed = {"answers": {"contact": {"phone": "15400000004"}}}
    edited = at_once(wang, lambda v: v.patch(f"{path}/answers", typed, if_match='"v1"'))
    assert told(edited) == {"200": 1, "412 case.version_stale": MANY - 1}

    etag = city.fill_birth(wang(), case_of(wang(), case_id), '"v2"')
    body = {"declarations": ["all_true"]}
    sent = at_once(wang, lambda v: v.post(f"{path}/submission", body, if_match=etag, idempotency_key=fresh_key()))
    assert told(sent) == {"202": 1, "412 case.version_stale": MANY - 1}

    case = await_steps(wang(), case_id, only_desk_left)
    for department in ("weijian", "gongan", "renshe", "yibao"):
        operations = [e["operation"] for e in city.effects_of(department, case_id)]
        assert len(operations) == len(set(operations)) >= 1, department

    tasks = city.clerk().get("/v1/tasks?limit=200").json()["data"]
    [task] = [one for one in tasks if one["case_number"] == case["number"]]
    answer, body = f"/v1/tasks/{task['id']}/answer", {"outcome": "completed"}
    answered = at_once(city.clerk, lambda v: v.post(answer, body, idempotency_key=fresh_key()))
    assert told(answered) == {"200": 1, "409 task.answered": MANY - 1}
    decided = case_of(wang(), case_id)
    assert [e["type"] for e in decided["timeline"]].count("cn.onestop.case.decided") == 1
