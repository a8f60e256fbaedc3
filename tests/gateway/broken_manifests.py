"""One manifest for each of the linter's rules that breaks it, and a word of the line it must be found on."""

from gateway.department import manifest_text

WHOLE = manifest_text("bureau").decode()
QUERY, APPLY = (f'[[operations]]\nid = "{name}"' for name in ("query", "apply"))


def changed(*edits: tuple[str, str]) -> str:
    source = WHOLE
    for before, after in edits:
        assert before in source, before
        source = source.replace(before, after, 1)
    return source


def asking(keys: str) -> str:
    """Add keys to the query."""
    return changed(("total_s = 2.0", f"total_s = 2.0\n{keys}"))


def above(tables: str) -> str:
    """Add tables above [limits]."""
    return changed(("[limits]", f"{tables}\n[limits]"))


def with_auth(auth: str) -> str:
    return above(f"[auth]\n{auth}")


def templated(source: str) -> str:
    return f'path = "/query"\nrequest_codec = "xml"\nrequest.template = "{source}"'


SIGNED = 'kind = "signed"\nbase = "{timestamp}{body}"\nheaders = { X-Sign = "{signature}" }'
STEPS = (
    'steps = [{ id = "one", path = "/1", idempotent = "safe", save = { file = "id" } }, '
    '{ id = "two", path = "/2", idempotent = "key", request = { body = { f = "steps.one.file" } } }]\n'
)
FOUND = 'lookup = { path = "/1", found = "id" }, save'
COVERED = (
    'errors = [{ status = 404, outcome = "not_found" },\n{ status = 404, path = "code", equals = 1, outcome = "down" }]'
)
CALLED_BACK = ('lookup = "find"', 'answer = "callback"'), ('reply.reference = "number"', 'reply.key = "key"')


def called_back(callback: str, *edits: tuple[str, str]) -> str:
    """Have the submission answered by callback."""
    return changed(*CALLED_BACK, *edits, ("[limits]", f"[callback]\n{callback}\n[limits]"))


NO_STATUS = 'errors = [{ status = 422, path = "c", equals = 7, outcome = "declined" }]'
# The rule, a manifest that breaks it, and a word of its line.
BROKEN: dict[str, list[tuple[str, str]]] = {
    "ADP-001": [("manifest = ", "manifest"), (WHOLE + "\n[limits", "[limits")],
    "ADP-002": [(asking("fresh = 1"), "fresh"), (with_auth("kind='basic'\nx=1"), "x=1")],
    "ADP-003": [
        (changed(("total_s = 2.0", 'total_s = "2"')), "total_s"),
        (changed(('region = "990100"', 'region = "990100"\ncodes = 3')), "codes"),
    ],
    "ADP-004": [
        (changed(("total_s = 2.0", "total_s = 90")), "total_s"),
        (changed(("waiting = 64", "waiting = -1")), "waiting"),
    ],
    "ADP-005": [(changed(('kind = "query"', 'kind = "querry"')), "querry"), (with_auth('kind = "bearer"'), "bearer")],
    "ADP-006": [
        (changed(('officer = { zh = "科长", en = "Head" }\n', "")), "department"),
        (with_auth("name = 'x'"), "auth"),
    ],
    "ADP-007": [(changed(('region = "990100"', 'region = "9901"')), "region")],
    "ADP-010": [(changed(("total_s = 2.0\n", "")), QUERY)],
    "ADP-011": [(changed(('basis = { zh = "测试", en = "Test" }\n', "")), QUERY)],
    "ADP-012": [(changed(('idempotent = "safe"\n', "")), QUERY)],
    "ADP-013": [(changed(('purpose = { zh = "办事", en = "To serve" }\n', "")), QUERY)],
    "ADP-014": [(changed(('basis = { zh = "测试"', 'basis = { zh = " "')), "basis")],
    "ADP-020": [(changed(('id = "find"', 'id = "apply"')), 'id = "apply"')],
    "ADP-021": [(changed(('id = "apply"\nkind = "submit"', 'id = "apply"\nkind = "query"\nwant = "bureau"')), "want")],
    "ADP-022": [(changed(('idempotent = "key"', 'idempotent = "safe"')), "idempotent")],
    "ADP-023": [(changed(('idempotent = "safe"', 'idempotent = "key"')), "idempotent")],
    "ADP-024": [(changed(('id = "apply"\n', 'id = "apply"\nwant = "x1"\n')), "want")],
    "ADP-025": [(changed(('idempotent = "key"\nlookup = "find"', 'idempotent = "lookup"')), APPLY)],
    "ADP-026": [(changed(('lookup = "find"', 'lookup = "query"')), "lookup")],
    "ADP-027": [(changed(('lookup = "find"', 'answer = "poll"')), APPLY)],
    "ADP-028": [(changed(('lookup = "find"', 'poll = { operation = "query" }')), "poll")],
    "ADP-029": [(changed(('lookup = "find"', 'answer = "callback"')), "callback")],
    "ADP-030": [(above('[callback]\noperation = "query"'), "operation")],
    "ADP-031": [(called_back('operation = "apply"', ('reply.key = "key"\n', "")), "operation")],
    "ADP-032": [(changed(('lookup = "find"', 'answer = "file"')), "file")],
    "ADP-033": [(changed(('want = "bureau"', 'want = "bureau"\nanswer = "pull"')), "answer")],
    "ADP-034": [(above("[files]"), "[files]")],
    "ADP-035": [(changed(('lookup = "find"\n', ""), ('ok = "completed"', 'ok = "pending"')), "reply.outcome")],
    "ADP-036": [(changed(('reply.found = "number"\n', "")), "reply")],
    "ADP-037": [(changed(('ok = "completed"', 'ok = "finished"')), "finished")],
    "ADP-038": [(changed(('region = "990100"', 'region = "990100"\ndesk = true')), "path")],
    "ADP-039": [(changed(('region = "990100"', 'region = "990100"\ndesk = true')), "idempotent")],
    "ADP-040": [(changed(('path = "/apply"\n', STEPS.replace('"two"', '"one"'))), "steps")],
    "ADP-041": [(changed(('path = "/apply"\n', STEPS.replace('"safe"', '"lookup"'))), "steps")],
    "ADP-042": [(changed(('path = "/apply"\n', STEPS.replace("one.file", "one.document"))), "steps")],
    "ADP-043": [(changed(('path = "/apply"\n', STEPS.replace('"steps.one.file"', '"key"'))), "steps")],
    "ADP-044": [(changed(('path = "/apply"\n', 'path = "/apply"\n' + STEPS)), "request")],
    "ADP-045": [(changed(('path = "/apply"\n', STEPS)), "reply.fields")],
    "ADP-046": [(changed(('path = "/apply"\n', STEPS.replace("save", FOUND))), "steps")],
    "ADP-047": [(changed(('path = "/apply"\n', STEPS), ('lookup = "find"', 'answer = "pull"')), "answer")],
    "ADP-048": [
        (changed(('request.body = { key = "key", name', "request.body = { name")), "request.body"),
        (changed(('path = "/apply"\n', STEPS.replace("two", "one").replace("steps.one.file", "payload.f"))), "steps"),
    ],
    "ADP-049": [
        (changed(('request.body = { key = "key" }', "request.body = { key = \"'key'\" }")), "request.body"),
        (changed(('path = "/apply"\n', STEPS.replace("save", FOUND))), "steps"),
    ],
    "ADP-050": [
        (changed(('"data.as_of | instant"', '"data.as_of | instnt"')), "as_of"),
        (changed(('path = "/query"', templated("<a><b>{{ key }}</a>"))), "template"),
        (changed(('path = "/query"', templated("<a>{{#each payload.l}}<b/></a>"))), "template"),
    ],
    "ADP-051": [(changed(('"/find"', '"/find/{serial}"')), "path")],
    "ADP-052": [(changed(('"/find"', '"/find"\nrequest.path = { serial = "key" }')), "request.path")],
    "ADP-053": [(changed(('"data.answer"', '"data.answer | code(sex)"')), "reply.fields")],
    "ADP-054": [(above('[codes.sex]\n"1" = "male"'), "[codes.sex]")],
    "ADP-055": [
        (changed(('"payload.name"', '"paylaod.name"')), "paylaod"),
        (changed(('path = "/query"', templated("<a>{{#each paylaod.l}}<b>{{ n }}</b>{{/each}}</a>"))), "template"),
        (changed(('path = "/query"', templated("<a>{{#each payload.l}}<b/>{{/each}}{{ n }}</a>"))), "template"),
    ],
    "ADP-056": [(changed(('path = "/query"', 'path = "/query"\nrequest_codec = "xml"')), "request.body")],
    "ADP-057": [(changed(('path = "/query"', 'path = "/query"\nrequest.template = "<a/>"')), "template")],
    "ADP-058": [(changed(('method = "POST"', 'method = "GET"')), "request.body")],
    "ADP-060": [(asking(COVERED), "equals")],
    "ADP-061": [(asking('errors = [{ outcome = "not_found" }]'), "errors")],
    "ADP-062": [(asking('errors = [{ path = "x", outcome = "not_found" }]'), "errors")],
    "ADP-064": [(changed(('idempotent = "key"', 'idempotent = "lookup"\nretries = 1')), "retries")],
    "ADP-065": [(asking('errors = [{ status = 200, outcome = "down" }]'), "errors")],
    "ADP-066": [(asking('errors = [{ status = 400, equals = 3, outcome = "down" }]'), "errors")],
    "ADP-070": [
        (changed(('path = "/query"', 'path = "/query"\nrequest.query = { no = "subject.number" }')), "request.query")
    ],
    "ADP-071": [(changed(('reply.subject = "data.id_number"\n', "")), "reply")],
    "ADP-072": [(changed(('reply.as_of = "data.as_of | instant"\n', "")), "reply")],
    "ADP-073": [(asking('sensitivity = "sensitive"'), "sensitivity")],
    "ADP-074": [(changed(('answer = "data.answer"', 'spouse_id_number = "data.spouse"')), "reply.fields")],
    "ADP-075": [(asking('reply.person_numbers = ["nobody"]'), "person_numbers")],
    "ADP-076": [(asking('reply.sensitivity = { x = "public" }'), "sensitivity")],
    "ADP-077": [(asking('examples = [{ name = "one", body = "11010519491231002X" }]'), "examples")],
    "ADP-078": [(above('[probe]\npath = "/people/990100199001011234"'), "path")],
    "ADP-079": [(asking('sensitivity = "sensitive"\ncache_s = 7200'), "cache_s")],
    "ADP-140": [
        (asking('reply.own_id = "data.no"').replace('reply.subject = "data.id_number"\n', ""), "own_id"),
    ],
    "ADP-141": [
        (changed(('path = "/query"', 'path = "/query"\nrequest.query = { no = "subject.ids.elsewhere" }')), "request"),
    ],
    "ADP-142": [
        (changed(('path = "/query"', 'path = "/query"\nrequest.query = { no = "subject.ids.bureau" }')), "request"),
    ],
    "ADP-143": [(asking('mandate = "guardian"'), "mandate")],
    "ADP-080": [
        (above('[always]\nheaders = { X-Token = "plainpassword" }'), "X-Token"),
        (with_auth(SIGNED.replace("{timestamp}", "3f786850e387550fdab836ed7e6dc881de23001b{timestamp}")), "base"),
    ],
    "ADP-082": [(with_auth('kind = "api_key"\nplace = "header"\nname = "Cookie"'), "auth")],
    "ADP-083": [
        (with_auth(SIGNED + '\ndigest = "rsa-sha1"'), "digest"),
        (with_auth(SIGNED + '\ndigest = "hmac-md5"'), "digest"),
    ],
    "ADP-084": [(with_auth(SIGNED.replace("{timestamp}", "{timestmap}")), "base")],
    "ADP-085": [(with_auth(SIGNED.replace("{signature}", "{app_key}")), "[auth]")],
    "ADP-086": [(with_auth(SIGNED.replace("{body}", "")), "base")],
    "ADP-087": [(with_auth(SIGNED.replace("{timestamp}", "")), "base")],
    "ADP-088": [(with_auth(SIGNED + '\ndigest = "sha256"'), "base")],
    "ADP-089": [(with_auth('kind = "login"\npath = "/login"\ntoken = "token"'), "[auth]")],
    "ADP-090": [(asking('reply.protection = { kind = "jose", layers = ["jwe"], key_management = ["RSA9"] }'), "RSA9")],
    "ADP-091": [(asking('reply.protection = { kind = "sm4", mode = "ecb" }'), "ecb")],
    "ADP-092": [(with_auth('kind = "oauth2_client_credentials"\nclient_auth = "tls"'), "client_auth")],
    "ADP-093": [
        (with_auth('kind = "ws_security"'), "kind"),
        (with_auth('kind = "api_key"\nplace = "form"\nname = "k"'), "place"),
    ],
    "ADP-094": [(above('[always]\nheaders = { Host = "x" }'), "Host")],
    "ADP-095": [(above('[callback]\nbase = "{nonce}{body}"\noperation = "apply"'), "base")],
    "ADP-096": [(above('[callback]\nmax_skew_s = 3600\noperation = "apply"'), "max_skew_s")],
    "ADP-097": [
        (with_auth('kind = "basic"').replace("total_s = 2.0", "total_s = 2.0\nauthenticate = false", 1), "authenticate")
    ],
    "ADP-100": [(changed(("total_s = 2.0", "total_s = 20")), "total_s")],
    "ADP-101": [(asking("connect_s = 3"), "connect_s")],
    "ADP-102": [(asking('paging = { style = "page", items = "data" }'), "paging")],
    "ADP-103": [(asking('max_reply_bytes = 900\npaging = { style = "page", items = "data" }'), "max_reply")],
    "ADP-104": [(above('[[windows]]\ndays = ["mon"]\nbegins = 02:00:00\nends = 02:00:00'), "windows")],
    "ADP-105": [(asking("concurrency = 99"), "concurrency = 99")],
    "ADP-106": [(asking("cache_s = 9\nstale_s = 3"), "stale_s")],
    "ADP-107": [(asking("late_s = 1"), "late_s")],
    "ADP-108": [
        (changed(('lookup = "find"', 'lookup = "find"\npoll = { operation = "find", first_s = 9, for_s = 5 }')), "poll")
    ],
    "ADP-109": [(asking('paging = { style = "next", items = "data" }'), "paging")],
    "ADP-110": [(changed(("total_s = 0.3", 'total_s = 0.3\npaging = { style = "page", items = "data" }')), "paging")],
    "ADP-111": [(changed(("total_s = 0.3", "total_s = 0.3\ncache_s = 60")), "cache_s")],
    "ADP-120": [(changed(('"x@example.com"', '"the second floor"')), "contact")],
    "ADP-121": [(changed(('"11990100MB9T0002XE"', '"11990100MB9T0002XF"')), "code")],
    "ADP-122": [(changed(('region = "990100"', 'region = "170100"')), "region")],
    "ADP-123": [(changed(('region = "990100"', 'region = "110100"')), "region")],
    "ADP-150": [
        (called_back("max_skew_s = 300"), "[callback]"),
        (called_back('operation = "apply"\noperations = ["apply"]'), "[callback]"),
    ],
    "ADP-151": [
        (called_back('operations = ["find"]'), "answer"),
        (called_back('operation = "find"', ('kind = "lookup"', 'kind = "submit"\nanswer = "callback"')), "answer"),
    ],
    "ADP-152": [
        (called_back('operations = ["apply", "find"]', ('"/find"', '"/find"\nresponse_codec = "xml"')), "operations")
    ],
    "ADP-153": [
        (called_back('operations = ["apply"]\ntold_by = { place = "header" }'), "told_by"),
        (called_back('operations = ["apply"]\ntold_by = { place = "path", values = { "a/b" = "apply" } }'), "told_by"),
        (called_back('operations = ["apply"]\ntold_by = { place = "path", values = { a = "find" } }'), "told_by"),
        (called_back('operation = "apply"\ntold_by = { place = "path" }'), "told_by"),
    ],
    "ADP-154": [
        (called_back('operations = ["apply"]', ('"callback"', '"callback"\nheard_as = "query"')), "heard_as"),
        (called_back('operation = "apply"', ('"callback"', '"callback"\nheard_as = "find"')), "heard_as"),
    ],
    "ADP-155": [
        (called_back(f"operation = 'apply'\nreply = {{ body = '{body}', content_type = '{kind}' }}"), "reply")
        for body, kind in (("{", "application/json"), ("<ok>", "text/xml"), ("<a/><b/>", "application/soap+xml"))
    ]
    + [(called_back('operations = ["apply"]\nreplies = { apply = { body = "ok" } }'), "replies")],
    "ADP-156": [
        (called_back("operation = 'apply'", ("total_s = 0.3", f'total_s = 0.3\nresponse_codec = "{codec}"')), "codec")
        for codec in ("none", "binary")
    ],
    "ADP-157": [(called_back("operation = 'apply'", ("total_s = 0.3", f"total_s = 0.3\n{NO_STATUS}")), "errors")],
}
