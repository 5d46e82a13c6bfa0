"""What holds for every connector alike, so that adding one is adding its file, its test, its fixtures and its icon."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from connectors import registry
from connectors.base import Action, Built, Connector, Identifiers, Payload
from connectors.declarations import declaration_problems
from connectors.errors import PayloadError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.payloads import shape_of
from connectors.records import SinkRequest
from connectors.settings import secret_values, validate_settings
from hub.expressions.filters import read_fql, validate
from hub.expressions.mappings import compile_mapping
from hub.expressions.mappings import validate as validate_mapping
from tests.connectors.fixtures import Fixture, all_fixtures, context_for

TESTS = Path(__file__).parent.parent / "connectors"
CONNECTORS = registry.all()
ACTIONS = [(connector, action) for connector in CONNECTORS for action in connector.actions]
FIXTURES = all_fixtures()
EVENTS = [event for fixture in FIXTURES for event in fixture.events]
# What nobody would send on purpose: no event may bring a connector down.
HOSTILE: list[dict[str, object]] = [
    {"type": kind, "messageId": f"hostile-{kind}-{index}", "event": "Order Completed", "userId": who, **inside}
    for kind in ("track", "identify", "group", "page")
    for index, (who, inside) in enumerate(
        [
            ("u" * 400, {"properties": {}, "traits": {}, "context": {}}),
            (
                "ada\u2028\x00\r\nX: y",
                {"properties": {"a": [[[]]], "products": [None, 5, {"price": "x"}], "total": "NaN"}},
            ),
            (
                "🦆",
                {"traits": {"email": {"a": 1}, "phone": [], "address": "none", "birthday": 1e300}, "timestamp": "soon"},
            ),
            ("x/../../y?z=1&a#b", {"properties": {"revenue": -1, "currency": "", "quantity": 2.5}, "groupId": "../g"}),
        ]
    )
]
SOUNDS_SECRET = re.compile(r"password|secret|token|api_?key|private", re.IGNORECASE)
STATUSES = (0, 200, 201, 202, 204, 207, 301, 400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503)
BODIES = [
    *(
        b"",
        b"{}",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b'{"error": 5}',
        b"\xff\xfe",
        b"<html>",
        b"[[]]",
        b'{"errors": {"a": 1}}',
    ),
    b'{"errors": [{"index": 1e9, "code": null}, 5, null], "error": {"code": [], "message": {}}, "results": [1, {}]}',
    b'{"failed_records": [{"index": -1}], "data": {"failed_events": 7}, "events": "x", "elements": [null]}',
    b'{"status": "x", "code": "y", "ok": 0, "Records": [{"ErrorCode": 5}], "insertErrors": [{"index": "z"}]}',
]
WORDS = frozenset(Outcome)
# Settings that say where credentials are sent.
ADDRESSES = ("url", "api_url", "host", "hosts", "brokers", "endpoint", "region")

every_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)
every_action = pytest.mark.parametrize(
    ("connector", "action"), ACTIONS, ids=[f"{connector.slug}.{action.key}" for connector, action in ACTIONS]
)


@cache
def fixtures_of(slug: str) -> list[Fixture]:
    return [fixture for fixture in FIXTURES if fixture.slug == slug]


def prepare(connector: Connector) -> object:
    return fixtures_of(connector.slug)[0].prepared


def settings_of(connector: Connector) -> Mapping[str, object]:
    return validate_settings(connector, fixtures_of(connector.slug)[0].content["settings"])  # type: ignore[arg-type]


def payloads_of(
    connector: Connector, action: Action, events: Sequence[Mapping[str, object]]
) -> list[tuple[Mapping[str, object], Payload]]:
    """What the action's own mapping and those of its fixtures make of these events, unless the fields refuse it."""
    own = [fixture.content.get("mapping") for fixture in fixtures_of(connector.slug) if fixture.action is action]
    shape, found = shape_of(action), []
    for mapping in (action.default_mapping, *(each for each in own if each)):
        make = compile_mapping(mapping)  # type: ignore[arg-type]
        for event in events:
            try:
                found.append((event, shape(make(dict(event)))))
            except PayloadError as error:
                assert error.problems
    return found


def batches_of(connector: Connector, action: Action) -> Iterator[list[tuple[Mapping[str, object], Payload]]]:
    """Batches as delivery makes them: no more than may be, with equal values of the keys."""
    together: dict[str, list[tuple[Mapping[str, object], Payload]]] = {}
    for event, payload in payloads_of(connector, action, [*EVENTS, *HOSTILE]):
        key = json.dumps([payload.get(each) for each in (action.batch.keys if action.batch else ())], default=str)
        together.setdefault(key, []).append((event, payload))
    most = action.batch.max_items if action.batch else 10
    for batch in together.values():
        yield batch[:most]


@every_connector
def test_a_connector_has_a_test_file_fixtures_and_an_icon(connector: Connector) -> None:
    assert (TESTS / f"test_{connector.slug}.py").is_file()
    assert fixtures_of(connector.slug)
    icon = registry.icon(connector.slug)
    assert icon is not None
    assert ElementTree.parse(icon).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script" not in icon.read_text()
    assert icon.stat().st_size < 4_000


@every_connector
def test_a_connector_says_what_it_is_for(connector: Connector) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", connector.version)
    assert connector.presets
    assert connector.description.endswith(".")
    assert connector.docs_url.startswith("https://") or connector.is_local
    documentation = inspect.getdoc(sys.modules[type_module(connector)]) or ""
    assert len(documentation) > 200 or connector.is_local
    for field in (*connector.settings, *(field for action in connector.actions for field in action.fields)):
        assert field.label[:1].isupper() or field.label[:1].isdigit() or field.label[:2] in ("iO", "gc")


def type_module(connector: Connector) -> str:
    return f"connectors.destinations.{connector.slug}"


@every_connector
def test_a_declaration_contradicts_itself_nowhere(connector: Connector) -> None:
    assert list(declaration_problems(connector, connector.slug)) == []


@every_connector
def test_every_setting_that_is_a_secret_is_flagged_as_one(connector: Connector) -> None:
    texts = [field for field in connector.settings if field.type in ("string", "text", "password", "object")]
    assert [field.key for field in texts if SOUNDS_SECRET.search(field.key) and not field.secret] == []
    public = {"username", "user", "client_id", "access_key_id", "site_id", "email", "account_sid", "key_sid"}
    named = {key for scheme in connector.auth for key in scheme.credentials if key not in public}
    assert named <= {field.key for field in connector.settings if field.secret}


@every_connector
def test_an_owner_who_names_the_host_loses_the_secrets_with_it(connector: Connector) -> None:
    has_secrets = any(field.secret for field in connector.settings)
    addresses = [field for field in connector.settings if field.key in ADDRESSES]
    assert all(field.clears_secrets or field.secret for field in addresses) or not has_secrets
    assert any(field.clears_secrets or field.format == "uri" for field in connector.settings) or not (
        connector.allows_custom_host and has_secrets
    )


@every_connector
def test_an_http_connector_says_where_it_calls(connector: Connector) -> None:
    if connector.kind != "http" or connector.is_local:
        return
    assert connector.base_urls or connector.allows_custom_host
    if connector.base_urls:
        assert "api_url" in {field.key for field in connector.settings}
    assert all(url.startswith("https://") for url in connector.base_urls.values())


@every_connector
def test_no_secret_is_in_the_words_for_people(connector: Connector) -> None:
    settings = settings_of(connector)
    hidden = secret_values(connector, settings)
    for fixture in fixtures_of(connector.slug):
        for built in fixture.build():
            assert not any(secret in repr(built) for secret in hidden)


@every_action
def test_trigger_and_default_mapping_parse(connector: Connector, action: Action) -> None:
    presets = [one for one in connector.presets if one.action == action.key]
    for trigger in filter(None, (action.default_trigger, *(one.trigger for one in presets))):
        tree = read_fql(trigger)
        named = [{"type": "track", "event": name} for name in re.findall(r'event = "([^"]+)"', trigger)]
        assert any(validate(tree, event) for event in (*EVENTS, *SAMPLES, *named)), trigger
    for mapping in (action.default_mapping, *(one.fields for one in presets)):
        validate_mapping(mapping)
        assert set(mapping) <= {field.key for field in action.fields}


# Events of the spec that no fixture may have, so that each preset's trigger meets one.
SAMPLES = [{"type": kind} for kind in ("alias", "group", "screen", "page", "identify", "track")]


@every_action
def test_no_event_crashes_a_connector(connector: Connector, action: Action) -> None:
    for event, payload in payloads_of(connector, action, [*EVENTS, *HOSTILE]):
        built = action.build([payload], prepare(connector), context_for([event]))
        check_built(connector, built, [payload])


@every_action
def test_every_payload_is_covered_once_and_every_build_is_the_same(connector: Connector, action: Action) -> None:
    for found in batches_of(connector, action):
        payloads, context = [payload for _, payload in found], context_for([event for event, _ in found])
        built = action.build(payloads, prepare(connector), context)
        check_built(connector, built, payloads)
        assert built == action.build(payloads, prepare(connector), context)


@every_connector
def test_no_answer_crashes_a_connector(connector: Connector) -> None:
    for request in requests_of(connector):
        for status in STATUSES:
            for body in BODIES:
                response = Response(status, body=body, error="timeout" if status == 0 else None)
                check_outcomes((connector.interpret or interpret)(request, response), request)


@every_connector
def test_a_server_in_trouble_loses_no_event(connector: Connector) -> None:
    """A 500, a 503 and a 429 are never the event's fault, whatever the body says."""
    for request in requests_of(connector):
        for status in (429, 500, 502, 503):
            found = (connector.interpret or interpret)(request, Response(status, body=b"<html>busy</html>"))
            assert {outcome.outcome for outcome in found} <= {Outcome.RETRY, Outcome.THROTTLED}, request.endpoint_label


@every_action
def test_no_answer_to_a_look_up_crashes_a_connector(connector: Connector, action: Action) -> None:
    for event, payload in payloads_of(connector, action, [*EVENTS, *HOSTILE]):
        for step in action.resolve:
            request = step.build([payload], {}, prepare(connector), context_for([event]))
            if request is None:
                continue
            check_built(connector, [request], [payload])
            for body in BODIES:
                step.read(request, Response(200, body=body))
                step.read(request, Response(400, body=body))


@every_action
def test_no_answer_about_a_job_crashes_a_connector(connector: Connector, action: Action) -> None:
    if action.job is None:
        return
    request = action.job.build("job-1", prepare(connector), context_for([{}]))
    for status in STATUSES:
        for body in BODIES:
            found = action.job.read(request, Response(status, body=body), 3)
            assert found is None or [outcome.index for outcome in found] == [0, 1, 2]


@every_connector
def test_a_test_call_has_no_event_in_it(connector: Connector) -> None:
    if connector.test is None:
        return
    request = connector.test(prepare(connector), context_for([{}]))
    check_built(connector, [request], [{}])
    if isinstance(request, SinkRequest):
        assert request.records == ()


@every_connector
def test_people_are_forgotten_whoever_they_are(connector: Connector) -> None:
    if connector.delete is None:
        return
    people = [
        Identifiers(user_id="ada/../x", anonymous_ids=("anon-1",), emails=("Ada@acme.test",), phones=("+15005550006",)),
        Identifiers(user_id=None, anonymous_ids=("anon-2",)),
        Identifiers(),
    ][: connector.delete.max_people]
    built = connector.delete.build(people, prepare(connector), context_for([{} for _ in people]))
    for one in built:
        if isinstance(one, RequestSpec):
            check_built(connector, [one], [{} for _ in one.covers], is_part=True)
            assert (connector.interpret or interpret)(one, Response(404))[0].outcome is not Outcome.RETRY
    again = connector.delete.build(people, prepare(connector), context_for([{} for _ in people]))
    assert built == again


def test_connectors_are_imported_without_anything_else() -> None:
    """Pure in practice: importing all of them brings in nothing that is not Python's own."""
    code = (
        "import sys; from connectors import registry; registry.all(); "
        "foreign = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'connectors'}; "
        "print(sorted(name for name in foreign if not name.startswith('_')))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=TESTS.parent.parent
    )
    assert done.stdout.strip() == "[]"


def requests_of(connector: Connector) -> Iterator[RequestSpec]:
    """One request of each kind that the connector makes."""
    known: set[tuple[str, int]] = set()
    tests = [connector.test(prepare(connector), context_for([{}]))] if connector.test else []
    built = [one for fixture in fixtures_of(connector.slug) for one in fixture.build()]
    for one in (*tests, *built):
        if isinstance(one, RequestSpec) and (one.endpoint_label, len(one.covers)) not in known:
            known.add((one.endpoint_label, len(one.covers)))
            yield one


def check_built(
    connector: Connector, built: Sequence[Built], payloads: Sequence[Payload], *, is_part: bool = False
) -> None:
    covered = [index for one in built for index in ((one.index,) if isinstance(one, ItemOutcome) else one.covers)]
    assert is_part or sorted(covered) == list(range(len(payloads)))
    for one in built:
        if isinstance(one, ItemOutcome):
            assert one.outcome in (Outcome.REJECTED, Outcome.FILTERED) or one.retry_after_s
            assert one.reason
            assert one.message
        elif isinstance(one, SinkRequest):
            assert one.endpoint_label
        else:
            check_request(connector, one)


def check_request(connector: Connector, request: RequestSpec) -> None:
    assert request.url.startswith(("https://", "http://"))
    assert re.fullmatch(r"[!-~]+", request.url), "a URL is printable ASCII without blanks"
    assert request.endpoint_label
    assert re.fullmatch(r"[A-Za-z0-9_./-]+", request.endpoint_label)
    assert all(name == name.lower() and re.fullmatch(r"[\x20-\x7e]*", name + value) for name, value in request.headers)
    if request.body_kind in ("json", "ndjson"):
        json.dumps(plain(request.body), allow_nan=False)
    settings = settings_of(connector)
    if connector.base_urls and not connector.allows_custom_host and not settings.get("api_url"):
        host = urlsplit(request.url).hostname or ""
        allowed = [urlsplit(url).hostname or "" for url in connector.base_urls.values()]
        assert any(re.fullmatch(each.replace(".", r"\.").replace("*", "[a-z0-9-]+"), host) for each in allowed), host


def plain(value: object) -> object:
    """A body as JSON values; read-only mappings and tuples count as theirs."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    assert not is_dataclass(value) or not fields(value)
    return value


def check_outcomes(outcomes: list[ItemOutcome], request: RequestSpec) -> None:
    assert [outcome.index for outcome in outcomes] == list(request.covers)
    for outcome in outcomes:
        assert outcome.outcome in WORDS
        assert outcome.outcome is Outcome.DELIVERED or outcome.reason or outcome.outcome is Outcome.PENDING
        assert isinstance(outcome.message, str)
        assert outcome.outcome is not Outcome.PENDING or outcome.remote_id
