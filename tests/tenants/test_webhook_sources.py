"""Sources that take a vendor's calls: settings checked and sealed, secrets that overlap, addresses, files and audit."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import time_machine
import yaml
from django.core.management import call_command

from hub.lib import clock
from hub.lib.crypto import new_key
from tenants import checks, inbound, keys, services
from tenants.errors import Invalid, InvalidSettings
from tenants.manifest.applying import apply
from tenants.manifest.errors import ManifestError
from tenants.manifest.exporting import export
from tenants.manifest.report import Report
from tenants.models import AuditEntry, Source, Workspace
from tests.factories import TESTER, make_oauth_app, make_source_and_key

GITHUB = {"connector": "github", "connector_settings": {"signing_secret": "first-secret-of-github"}}
FILE = """\
workspaces:
  - slug: acme
    name: Acme
    sources:
      - slug: sms
        kind: webhook
        connector: twilio
        settings: {auth_token: {env: TWILIO_TOKEN}, phone_as: user_id}
"""


def make_github(workspace: Workspace) -> tuple[Source, str]:
    return make_source_and_key(workspace, "code", kind="webhook", **GITHUB)


def secrets_at(key: str) -> tuple[str, ...]:
    found = inbound.find_webhook(key)
    assert found is not None
    return found.secrets["signing_secret"]


def run(text: str = FILE, **environment: str) -> Report:
    return apply(text, environment={"TWILIO_TOKEN": "token-of-twilio", **environment}, actor=TESTER)


def refused(text: str, **environment: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        apply(text, environment=environment, actor=TESTER)
    return [str(problem) for problem in caught.value.problems]


def test_the_key_of_a_webhook_source_opens_its_address_and_nothing_else(acme: Workspace) -> None:
    source, key = make_github(acme)
    found = inbound.find_webhook(key)
    assert found is not None
    assert (found.source.source_id, found.connector) == (source.pk, "github")
    assert found.settings == {"login_as": "trait", "signing_secret": "first-secret-of-github"}
    assert keys.find_source(key) is None


def test_the_key_of_another_source_opens_no_address(acme: Workspace) -> None:
    _, key = make_source_and_key(acme, kind="webhook")
    assert inbound.find_webhook(key) is None
    assert keys.find_source(key) is not None


def test_the_address_of_a_deleted_source_is_nobodys(acme: Workspace) -> None:
    source, key = make_github(acme)
    services.delete_source(source, actor=TESTER)
    source.refresh_from_db()
    assert inbound.find_webhook(key) is None
    assert (source.secrets, source.secret_hints) == ({}, {})


@pytest.mark.parametrize(
    ("connector", "settings", "is_shown_again"),
    [("github", GITHUB["connector_settings"], True), ("generic", {}, False), ("sendgrid_inbound", {}, False)],
)
def test_an_address_is_shown_again_only_where_a_signature_protects_it(
    acme: Workspace, connector: str, settings: dict[str, str], is_shown_again: bool
) -> None:
    source, key = make_source_and_key(acme, kind="webhook", connector=connector, connector_settings=settings)
    (row,) = services.write_keys.live_keys(source)
    assert (row.value == key, row.value is None) == (is_shown_again, not is_shown_again)


def test_a_secret_is_sealed_masked_and_in_no_audit_entry(acme: Workspace) -> None:
    source, _ = make_github(acme)
    services.update_source(source, connector_settings={"signing_secret": "second-secret-of-github"}, actor=TESTER)
    assert source.masked_settings()["signing_secret"] == {"set": True, "last4": "thub"}
    assert "secret-of" not in json.dumps([source.secrets, source.former_secrets, source.connector_settings])
    told = [(one.action, json.dumps([one.before, one.after])) for one in AuditEntry.unscoped.order_by("id")]
    assert not [text for _, text in told if "secret-of" in text]
    assert '"secrets_set": ["signing_secret"]' in dict(told)["source.updated"]


def test_a_blank_secret_is_kept_and_other_settings_change(acme: Workspace) -> None:
    source, key = make_github(acme)
    before = source.secrets
    services.update_source(source, connector_settings={"signing_secret": "", "login_as": "user_id"}, actor=TESTER)
    assert source.secrets == before
    assert source.connector_settings == {"login_as": "user_id"}
    assert secrets_at(key) == ("first-secret-of-github",)


def test_a_replaced_secret_counts_on_for_a_day(acme: Workspace) -> None:
    source, key = make_github(acme)
    services.update_source(source, connector_settings={"signing_secret": "second-one"}, actor=TESTER)
    assert secrets_at(key) == ("second-one", "first-secret-of-github")
    with time_machine.travel(clock.now() + timedelta(hours=24, seconds=1), tick=False):
        assert secrets_at(key) == ("second-one",)


def test_a_third_secret_takes_the_place_of_the_first(acme: Workspace) -> None:
    source, key = make_github(acme)
    for secret in ("second-one", "third-one"):
        services.update_source(source, connector_settings={"signing_secret": secret}, actor=TESTER)
    assert secrets_at(key) == ("third-one", "second-one")


def test_an_overlap_can_be_left_out_and_ended(acme: Workspace) -> None:
    source, key = make_github(acme)
    services.update_source(
        source, connector_settings={"signing_secret": "second-one"}, overlap=timedelta(0), actor=TESTER
    )
    assert secrets_at(key) == ("second-one",)
    services.update_source(source, connector_settings={"signing_secret": "third-one"}, actor=TESTER)
    services.end_secret_overlap(source, actor=TESTER)
    assert secrets_at(key) == ("third-one",)
    assert AuditEntry.unscoped.filter(action="source.former_secrets_ended").count() == 1


def test_a_vendor_that_signs_with_both_secrets_needs_no_overlap(acme: Workspace) -> None:
    source, key = make_source_and_key(
        acme, kind="webhook", connector="stripe", connector_settings={"signing_secret": "whsec_first"}
    )
    services.update_source(source, connector_settings={"signing_secret": "whsec_second"}, actor=TESTER)
    assert secrets_at(key) == ("whsec_second",)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"connector": "nobody"}, "connector"),
        ({"connector": "github", "kind": "server"}, "connector"),
        ({"connector": "github"}, "settings.signing_secret"),
        ({"connector": "github", "connector_settings": {"signing_secret": "x", "sercet": "y"}}, "settings.sercet"),
        ({"connector_settings": {"signing_secret": "x"}}, "connector_settings"),
        ({"connector": "sendgrid_events", "connector_settings": {"public_key": "AAAA"}}, "settings.public_key"),
        ({"connector": "generic", "connector_settings": {"signature": "hmac"}}, "settings.header"),
        (
            {"connector": "generic", "connector_settings": {"signature": "standard", "signing_secret": "no base64!"}},
            "settings.signing_secret",
        ),
        ({"connector": "generic", "connector_settings": {"mapping": {"event": {"@nope": 1}}}}, "settings.mapping"),
    ],
)
def test_what_cannot_work_is_refused_with_its_field(acme: Workspace, options: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        make_source_and_key(acme, **{"kind": "webhook", **options})  # type: ignore[arg-type]
    assert field in caught.value.messages
    assert Source.objects.for_workspace(acme).count() == 0


def test_a_change_that_cannot_work_changes_nothing(acme: Workspace) -> None:
    source, key = make_github(acme)
    with pytest.raises(InvalidSettings):
        services.update_source(source, connector_settings={"login_as": "no choice"}, actor=TESTER)
    assert secrets_at(key) == ("first-secret-of-github",)


def test_a_public_key_may_be_pasted_with_its_pem_lines(acme: Workspace) -> None:
    text = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1"
        "flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    )
    pem = f"-----BEGIN PUBLIC KEY-----\n{text[:64]}\n{text[64:]}\n-----END PUBLIC KEY-----\n"
    source, _ = make_source_and_key(
        acme, kind="webhook", connector="sendgrid_events", connector_settings={"public_key": pem}
    )
    assert source.connector_settings["public_key"] == text


def test_tokens_are_for_servers_and_not_for_vendors(acme: Workspace) -> None:
    source, _ = make_source_and_key(acme, kind="webhook", connector="generic")
    with pytest.raises(Invalid, match="vendors"):
        services.set_source_oauth(source, make_oauth_app(acme), is_required=True, actor=TESTER)


def test_rotation_of_the_key_ring_moves_the_secrets_of_sources_too(acme: Workspace, settings, capsys) -> None:
    source, key = make_github(acme)
    services.update_source(source, connector_settings={"signing_secret": "second-one"}, actor=TESTER)
    second = new_key("second")
    settings.SECRETS_KEYS = f"{second},{settings.SECRETS_KEYS}"
    call_command("rotate_secrets", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["rotated"], told["in_use"]) == (2, {"second": 2})
    settings.SECRETS_KEYS = second
    assert secrets_at(key) == ("second-one", "first-secret-of-github")
    assert checks.check_stored_key_ids(databases=["default"]) == []


def test_nothing_starts_without_the_key_of_a_sources_secret(acme: Workspace, settings) -> None:
    make_github(acme)
    settings.SECRETS_KEYS = new_key("other")
    assert [error.id for error in checks.check_stored_key_ids(databases=["default"])] == ["tenants.E002"]
    settings.SECRETS_KEYS = new_key("test")
    assert [error.id for error in checks.check_stored_key_ids(databases=["default"])] == ["tenants.E003"]


def test_a_file_makes_a_webhook_source_and_tells_its_address(db: None, settings) -> None:
    settings.PUBLIC_URL = "https://hub.acme.test"
    report = run()
    (key,) = report.write_keys["acme/sources/sms"]
    assert report.addresses == {"acme/sources/sms": [f"https://hub.acme.test/v1/webhooks/{key}"]}
    assert any("address" in line and key in line for line in report.as_lines())
    found = inbound.find_webhook(key)
    assert found is not None
    assert found.settings == {"auth_token": "token-of-twilio", "phone_as": "user_id", "user_id_parameter": "userId"}


def test_a_second_run_finds_nothing_and_a_change_is_found(db: None) -> None:
    (key,) = run().write_keys["acme/sources/sms"]
    assert run().unchanged == ["acme", "acme/sources/sms"]
    assert run(TWILIO_TOKEN="another-token").changed == ["acme/sources/sms"]
    found = inbound.find_webhook(key)
    assert found is not None
    assert found.secrets["auth_token"] == ("another-token", "token-of-twilio")
    assert run(FILE.replace("user_id}", "anonymous_id}"), TWILIO_TOKEN="another-token").changed == ["acme/sources/sms"]


def test_export_and_apply_are_one_another(db: None) -> None:
    run()
    workspace = Workspace.objects.get(slug="acme")
    (told,) = yaml.safe_load(export(workspace))["workspaces"][0]["sources"]
    assert told["connector"] == "twilio"
    assert told["settings"] == {
        "phone_as": "user_id",
        "user_id_parameter": "userId",
        "auth_token": {"env": "ACME_SMS_AUTH_TOKEN"},
    }
    again = apply(export(workspace), environment={"ACME_SMS_AUTH_TOKEN": "token-of-twilio"}, actor=TESTER)
    assert again.changed == [] and again.created == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{auth_token: {env: NOT_SET}}", "NOT_SET is not set"),
        ("{auth_token: abc, phone_as: 7}", "This must be text"),
        ("{auth_token: abc, nonsense: 1}", "Twilio has no setting of this name"),
        ("{}", "Auth token is needed"),
    ],
)
def test_mistakes_in_a_file_are_told_with_their_line(db: None, settings: str, told: str) -> None:
    text = FILE.replace("{auth_token: {env: TWILIO_TOKEN}, phone_as: user_id}", settings)
    problems = refused(text)
    assert len(problems) == 1, problems
    assert "line 8" in problems[0] or settings == "{}"
    assert told in problems[0]


def test_the_connector_of_a_source_cannot_be_changed(db: None) -> None:
    run()
    text = FILE.replace("twilio\n", "github\n").replace(
        "auth_token: {env: TWILIO_TOKEN}, phone_as: user_id", "signing_secret: x"
    )
    assert "connector of a source cannot be changed" in refused(text)[0]


def test_an_unknown_connector_of_a_source_is_told(db: None) -> None:
    assert "There is no source connector nobody" in refused(FILE.replace("twilio\n", "nobody\n"), TWILIO_TOKEN="x")[0]


def test_a_webhook_source_without_connector_keeps_the_settings_of_all_sources(db: None) -> None:
    lines = [line for line in FILE.splitlines() if "connector:" not in line and "settings:" not in line]
    run("\n".join([*lines, "        settings: {capture_ip: false}"]))
    source = Source.unscoped.get(slug="sms")
    assert (source.connector, source.settings["capture_ip"]) == ("", False)
