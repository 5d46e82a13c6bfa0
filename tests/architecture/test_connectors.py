"""What holds for every connector alike, so that adding one is adding its file, its test, its fixtures and its icon."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from connectors import registry
from connectors.base import Action, BuildContext, Connector, Payload
from connectors.http import ItemOutcome, RequestSpec, Response, interpret
from connectors.settings import validate_payload, validate_settings
from hub.expressions.filters import parse_fql, validate
from hub.expressions.mappings import transform
from hub.expressions.mappings import validate as validate_mapping

TESTS = Path(__file__).parent.parent / "connectors"
CONNECTORS = registry.all()
ACTIONS = [(connector, action) for connector in CONNECTORS for action in connector.actions]
FIXTURES = sorted(TESTS.glob("*/*.json"))
EVENTS = {f"{path.parent.name}-{path.stem}": json.loads(path.read_text())["event"] for path in FIXTURES}
SOUNDS_SECRET = re.compile(r"password|secret|token|api_?key|private", re.IGNORECASE)
STATUSES = (0, 200, 207, 301, 400, 401, 403, 404, 410, 413, 429, 500, 503)

every_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)
every_action = pytest.mark.parametrize(
    ("connector", "action"), ACTIONS, ids=[f"{connector.slug}.{action.key}" for connector, action in ACTIONS]
)


def prepare(connector: Connector) -> object:
    fixture = json.loads(next((TESTS / connector.slug).glob("*.json")).read_text())
    return connector.prepare(validate_settings(connector, fixture["settings"]))


def context(count: int) -> BuildContext:
    ids = [f"msg_{number}" for number in range(count)]
    return BuildContext(datetime(2026, 3, 1, tzinfo=UTC), ids, ids, public_url="http://127.0.0.1:8000")


@every_connector
def test_a_connector_has_a_test_file_fixtures_and_an_icon(connector: Connector) -> None:
    assert (TESTS / f"test_{connector.slug}.py").is_file()
    assert list((TESTS / connector.slug).glob("*.json"))
    icon = registry.icon(connector.slug)
    assert icon is not None
    assert ElementTree.parse(icon).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@every_connector
def test_a_declaration_contradicts_itself_nowhere(connector: Connector) -> None:
    assert list(registry.declaration_problems(connector, connector.slug)) == []
    assert re.fullmatch(r"\d+\.\d+\.\d+", connector.version)
    assert connector.presets


@every_connector
def test_every_setting_that_is_a_secret_is_flagged_as_one(connector: Connector) -> None:
    texts = [field for field in connector.settings if field.type in ("string", "text", "password", "object")]
    assert [field.key for field in texts if SOUNDS_SECRET.search(field.key) and not field.secret] == []
    named = {key for scheme in connector.auth for key in scheme.credentials if key not in ("username", "user")}
    assert named <= {field.key for field in connector.settings if field.secret}


@every_connector
def test_an_owner_who_names_the_host_loses_the_secrets_with_it(connector: Connector) -> None:
    has_secrets = any(field.secret for field in connector.settings)
    is_guarded = any(field.clears_secrets for field in connector.settings)
    assert is_guarded or not (connector.allows_custom_host and has_secrets)


@every_action
def test_trigger_and_default_mapping_parse(connector: Connector, action: Action) -> None:
    triggers = [action.default_trigger, *(one.trigger for one in connector.presets if one.action == action.key)]
    for trigger in triggers:
        assert "error" not in parse_fql(trigger)
        assert any(validate(parse_fql(trigger), event) for event in EVENTS.values())
    for mapping in (action.default_mapping, *(one.fields for one in connector.presets if one.action == action.key)):
        validate_mapping(mapping)
        assert set(mapping) <= {field.key for field in action.fields}


@every_action
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_no_event_of_any_fixture_crashes_a_connector(
    connector: Connector, action: Action, event: dict[str, object]
) -> None:
    payload = validate_payload(action, transform(action.default_mapping, event))
    requests = action.build([payload], prepare(connector), context(1))
    check_requests(requests, [payload])


@every_action
def test_every_payload_is_covered_once_and_every_build_is_the_same(connector: Connector, action: Action) -> None:
    payloads = [validate_payload(action, transform(action.default_mapping, event)) for event in EVENTS.values()]
    requests = action.build(payloads, prepare(connector), context(len(payloads)))
    check_requests(requests, payloads)
    assert requests == action.build(payloads, prepare(connector), context(len(payloads)))


@every_connector
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"error": 5}', b"\xff\xfe", b"<html>"])
def test_no_answer_crashes_a_connector(connector: Connector, status: int, body: bytes) -> None:
    request = connector.test(prepare(connector), context(1))
    check_outcomes((connector.interpret or interpret)(request, Response(status, body=body)), request)


def check_requests(requests: list[RequestSpec], payloads: list[Payload]) -> None:
    covered = [index for request in requests for index in request.covers]
    assert sorted(covered) == list(range(len(payloads)))
    for request in requests:
        assert request.url.startswith(("https://", "http://"))
        assert request.endpoint_label
        assert all(name == name.lower() and "\n" not in name + value for name, value in request.headers)


def check_outcomes(outcomes: list[ItemOutcome], request: RequestSpec) -> None:
    assert [outcome.index for outcome in outcomes] == list(request.covers)
