"""A department that is gone is the department's trouble: onestop lives, is ready, and says who is missing."""

from onestop.demo.visitor import Visitor

from .city import City, part, until


def test_a_hung_department_leaves_onestop_ready_and_is_named(city: City):
    lin, anybody = city.visitor("lin"), Visitor(city.url)
    assert part(_ask(lin), "property")["state"] == "ok"
    before = anybody.get("/healthz").json()
    assert before["database"] == "ok"
    assert "ziran/property" not in before["degraded"]
    with city.hung("ziran"):
        for _ in range(2):
            answer = lin.post("/v1/me/lookups", {"wants": ["property", "tax"], "deadline_ms": 300}).json()
            assert part(answer, "property")["state"] == "pending"
            assert part(answer, "tax")["state"] == "ok"
        assert anybody.get("/livez").status == 200
        assert anybody.get("/readyz").status == 200
        health = anybody.get("/healthz")
        assert health.status == 200
        assert health.json()["status"] == "degraded"
        assert "ziran/property" in health.json()["degraded"]
    until(lambda: part(_ask(lin), "property")["state"] == "ok", 10, 0.4)
    assert "ziran/property" not in anybody.get("/healthz").json()["degraded"]


def _ask(visitor: Visitor) -> dict[str, object]:
    answer: dict[str, object] = visitor.post("/v1/me/lookups", {"wants": ["property"], "deadline_ms": 500}).json()
    return answer


def test_health_holds_nothing_of_a_person_and_no_address(city: City):
    told = Visitor(city.url).get("/healthz").body.decode()
    assert "9901" not in told
    assert "127.0.0.1" not in told
