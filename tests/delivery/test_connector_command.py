"""`manage.py connector`: the list, the pages, tests with and without a database, and erasure."""

from __future__ import annotations

import argparse
import json
from base64 import b64encode
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from connectors import catalogue, registry
from hub.delivery.management.commands.connector import Command
from tenants.models import AuditEntry, Source
from tests import factories
from tests.connectors.fixtures import all_fixtures
from tests.delivery.logged import LOOPBACK
from tests.receivers import Receiver, Reply

SETTINGS = {"url": "https://hooks.example.test/in", "auth": "bearer", "token": "a-very-secret-token"}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    yield
    registry.use_packages(registry.BUILT_IN)


def run(*words: str) -> str:
    out = StringIO()
    call_command("connector", *words, stdout=out)
    return out.getvalue()


def run_json(*words: str) -> dict[str, Any]:
    return json.loads(run(*words, "--json"))  # type: ignore[no-any-return]


def refusal(*words: str) -> str:
    with pytest.raises(CommandError) as refused:
        run(*words)
    assert refused.value.returncode == 2
    return str(refused.value)


def written(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_the_list_names_destinations_and_sources() -> None:
    found = run_json("list")
    assert {"webhook", "segment"} <= {one["slug"] for one in found["destinations"]}
    assert {"stripe", "github"} <= {one["slug"] for one in found["sources"]}
    assert len(found["destinations"]) >= 45
    assert len(found["sources"]) >= 11
    assert "webhook" in run("list")


def test_a_page_is_shown_in_markdown_and_as_data() -> None:
    assert run("show", "webhook").startswith("# Webhook\n")
    assert run_json("show", "webhook")["slug"] == "webhook"
    assert run("show", "stripe", "--source").startswith("# Stripe\n")


@pytest.mark.parametrize("connector", catalogue.destinations(), ids=lambda one: one.slug)
def test_every_connector_can_be_tried_with_its_fixture_and_tells_no_secret(connector: Any) -> None:
    found = run_json("test", connector.slug, "--dry-run")
    assert [step for step in found["steps"] if step["kind"] == "request"]
    fields = {field.key for field in connector.settings if field.secret}
    given = [one.content["settings"] for one in all_fixtures() if one.slug == connector.slug]
    secrets = {str(settings[key]) for settings in given for key in fields & settings.keys()}  # type: ignore[attr-defined, index]
    told = json.dumps(found)
    assert [secret for secret in secrets if secret in told or b64encode(secret.encode()).decode() in told] == []


@pytest.mark.parametrize("connector", catalogue.destinations(), ids=lambda one: one.slug)
def test_every_connector_has_a_page(connector: Any) -> None:
    assert run("show", connector.slug).startswith(f"# {connector.name}\n")
    assert run_json("show", connector.slug)["slug"] == connector.slug


@pytest.mark.parametrize("source", catalogue.sources(), ids=lambda one: one.slug)
def test_every_source_has_a_page(source: Any) -> None:
    assert run("show", source.slug, "--source").startswith(f"# {source.name}\n")


def test_an_event_settings_and_a_mapping_may_be_given(tmp_path: Path) -> None:
    event = written(tmp_path, "event.json", {"type": "track", "event": "Signed Up", "userId": "ada"})
    settings = written(tmp_path, "settings.json", SETTINGS)
    mapping = written(tmp_path, "mapping.json", {"action": "send", "fields": {"data": {"who": {"@path": "$.userId"}}}})
    found = run_json("test", "webhook", "--event", event, "--with", settings, "--mapping", mapping)
    (step,) = found["steps"]
    assert json.loads(step["request"]["body"]) == {"who": "ada"}
    assert "a-very-secret-token" not in json.dumps(found)
    shown = run("test", "webhook", "--event", event, "--with", settings, "--mapping", mapping)
    assert "POST https://hooks.example.test/in" in shown


def test_no_option_has_the_name_of_one_that_django_takes_for_itself() -> None:
    """`--settings` would be read as the name of a settings module before the command is even found."""
    parser = Command().create_parser("manage.py", "connector")
    (verbs,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    own = {option for verb in verbs.choices.values() for option in verb._option_string_actions}
    assert not own & {"--settings", "--pythonpath"}


def test_a_live_test_makes_the_call_and_fails_with_it(tmp_path: Path, receiver: Receiver, settings: Any) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK
    event = written(tmp_path, "event.json", {"type": "track", "event": "x"})
    good = written(tmp_path, "good.json", {**SETTINGS, "url": receiver.url("/ok")})
    bad = written(tmp_path, "bad.json", {**SETTINGS, "url": receiver.url("/status/401")})
    assert run_json("test", "webhook", "--event", event, "--with", good, "--live")["ok"]
    with pytest.raises(SystemExit):
        run("test", "webhook", "--event", event, "--with", bad, "--live")
    assert receiver.paths() == ["/ok", "/status/401"]


def test_bad_input_is_told_in_a_sentence(tmp_path: Path) -> None:
    no_event = written(tmp_path, "a.json", {"type": "nonsense"})
    no_json = written(tmp_path, "b.json", "{")
    no_mapping = written(tmp_path, "c.json", {"action": "nonsense", "fields": {}})
    no_settings = written(tmp_path, "d.json", {"url": "nonsense"})
    assert "no connector 'nonsense'" in refusal("test", "nonsense")
    assert "no connector 'nonsense'" in refusal("show", "nonsense")
    assert "`type`" in refusal("test", "webhook", "--event", no_event)
    assert "not JSON" in refusal("test", "webhook", "--with", no_json)
    assert "has no action 'nonsense'" in refusal("test", "webhook", "--mapping", no_mapping)
    assert "url: " in refusal("test", "webhook", "--with", no_settings)
    assert "cannot be read" in refusal("test", "webhook", "--event", str(tmp_path / "none.json"))
    assert "--destination" in refusal("test")
    assert "--event" in refusal("test", "--destination", "x", "--workspace", "y")
    assert "--workspace" in refusal(
        "test", "--destination", "x", "--event", written(tmp_path, "e.json", {"type": "page"})
    )


@pytest.mark.django_db(transaction=True)
def test_a_destination_is_tried_and_people_are_erased_at_it(
    tmp_path: Path, source: Source, receiver: Receiver, settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK
    receiver.rule("/gone", lambda request: Reply(200))
    hook = factories.make_destination(
        source.workspace, "hook", url=receiver.url("/ok"), settings={"deletion_url": receiver.url("/gone")}
    )
    here = ("--destination", "hook", "--workspace", source.workspace.slug)
    event = written(tmp_path, "event.json", {"type": "track", "event": "x"})
    assert run_json("test", *here, "--event", event, "--live")["ok"]
    found = run_json("delete", *here, "--user-id", "ada", "--user-id", "bob")
    assert [(one["person"], one["outcome"]) for one in found["people"]] == [(0, "delivered"), (1, "delivered")]
    told = json.loads(receiver.requests[-1].body)
    assert [user["userId"] for user in told["data"]["users"]] == ["ada", "bob"]
    actions = AuditEntry.unscoped.filter(object_id=str(hook.pk)).order_by("pk").values_list("action", flat=True)
    assert list(actions)[-3:] == ["destination.tested", "destination.erasure", "destination.erased"]
    assert "ada" not in json.dumps([entry.after for entry in AuditEntry.unscoped.filter(action="destination.erasure")])


@pytest.mark.django_db(transaction=True)
def test_erasure_that_cannot_be_is_told(source: Source, receiver: Receiver) -> None:
    factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"))
    here = ("--destination", "hook", "--workspace", source.workspace.slug)
    assert "--user-id" in refusal("delete", *here)
    assert "not set up to erase" in refusal("delete", *here, "--user-id", "ada")
    assert "no destination" in refusal(
        "delete", "--destination", "x", "--workspace", source.workspace.slug, "--user-id", "a"
    )
