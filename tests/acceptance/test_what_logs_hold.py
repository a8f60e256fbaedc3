"""After everything the other tests did: no log of onestop's own holds anything of a person."""

from onestop.demo import people

from .city import fresh_key

OWN = ("gateway.log", "worker.log")


def test_no_log_holds_a_number_a_name_a_telephone_or_an_address_of_anybody(city, journeys):
    lin = city.visitor("lin")
    # Addresses and bodies that hold a number all the same: they must not be written down either.
    number = people.person("lin").id_number
    lin.get(f"/v1/cases/{number}")
    lin.get(f"/v1/cases?cursor={number}")
    lin.get(f"/verify?number={number}")
    lin.post("/v1/me/lookups", {"wants": [number]})
    lin.post("/v1/cases", {"item": number}, idempotency_key=number)
    lin.post("/v1/auth/tokens", {"person": number, "role": "king"})
    lin.patch(f"/v1/cases/{number}/answers", f'{{"{number}": "林晓舟"'.encode(), if_match='"v1"')
    lin.post("/v1/cases", {"item": "birth", "answers": {"baby": {"name": number}}}, idempotency_key=fresh_key())
    logs = city.logs()
    assert set(OWN) <= logs.keys()
    secrets = {
        secret
        for person in people.people()
        for secret in (person.id_number, person.name, person.phone, person.mail)
        if secret
    }
    secrets |= {"周沐禾", "15400000001", "书院路18号", "990102202511180465"}
    found = {(name, secret) for name, log in logs.items() for secret in secrets if secret in log}
    assert found == set()


def test_nothing_of_onestops_own_broke_on_the_way(city, journeys):
    for name in OWN:
        log = city.logs()[name]
        assert log.strip(), name
        assert "Traceback" not in log, name
        assert "request failed" not in log, name
