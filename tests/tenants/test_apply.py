"""`apply`: a file becomes workspaces, all or nothing; mistakes are told by line; a second run finds nothing."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tenants import keys
from tenants.manifest.applying import apply
from tenants.manifest.errors import ManifestError
from tenants.manifest.report import Report
from tenants.models import AuditEntry, Connection, Destination, Mapping, Member, Source, User, Workspace
from tests.factories import TESTER, make_source_and_key

FILE = """\
workspaces:
  - slug: acme
    name: Acme
    members: [{email: ada@acme.test, role: owner, password_env: ADA_PASSWORD}]
    sources:
      - slug: web
        name: Website
        kind: website
        write_keys: [wk_test_web_acme]
      - {slug: api, name: API, kind: server}
    destinations:
      - slug: hook
        connector: webhook
        name: Our backend
        settings: {url: "http://127.0.0.1:9000/hook"}
        sources: [web]
        enabled: true
        ordering: none
        retry_hours: 24
        rate_limit: {amount: 100, per_seconds: 1}
        mappings: []
        filters: []
"""
PASSWORD = {"ADA_PASSWORD": "correct horse battery"}
ALL = ["acme", "acme/members/ada@acme.test", "acme/sources/web", "acme/sources/api", "acme/destinations/hook"]


def run(text: str = FILE, *, dry_run: bool = False, **environment: str) -> Report:
    return apply(text, environment={**PASSWORD, **environment}, actor=TESTER, dry_run=dry_run)


def refused(text: str, **environment: str) -> list[str]:
    """What is told of a file that cannot be applied."""
    before = (Workspace.objects.count(), User.objects.count(), AuditEntry.unscoped.count())
    with pytest.raises(ManifestError) as caught:
        apply(text, environment=environment, actor=TESTER)
    assert (Workspace.objects.count(), User.objects.count(), AuditEntry.unscoped.count()) == before
    return [str(problem) for problem in caught.value.problems]


def test_a_file_becomes_a_workspace(db: None) -> None:
    assert run().created == ALL
    assert User.objects.get(email="ada@acme.test").check_password(PASSWORD["ADA_PASSWORD"])
    found = keys.find_source("wk_test_web_acme")
    assert found is not None and (found.workspace_slug, found.source_slug) == ("acme", "web")
    destination = Destination.unscoped.get()
    assert (destination.rate_limit, destination.is_enabled) == ({"amount": 100, "per_seconds": 1}, True)
    assert Connection.unscoped.get(destination=destination).source.slug == "web"
    assert Mapping.unscoped.get(destination=destination).action == "send"


def test_a_second_run_changes_nothing(db: None) -> None:
    run()
    before = AuditEntry.unscoped.count()
    report = run()
    assert (report.created, report.changed, report.unchanged) == ([], [], ALL)
    assert AuditEntry.unscoped.count() == before


def test_a_dry_run_tells_the_same_and_changes_nothing(db: None) -> None:
    report = run(dry_run=True)
    assert report.created == ALL
    assert (report.write_keys, report.secrets) == ({}, {})
    assert not Workspace.objects.exists()


def test_generated_keys_and_secrets_are_told_once(db: None) -> None:
    report = run()
    assert keys.find_source(report.write_keys["acme/sources/api"][0])
    assert report.secrets["acme/destinations/hook"]["signing_secret"].startswith("whsec_")
    again = run()
    assert (again.write_keys, again.secrets) == ({}, {})


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("name: Acme", "name: Acme Inc", "acme"),
        ("role: owner", "role: admin", "acme/members/ada@acme.test"),
        ("name: Website", "name: Site", "acme/sources/web"),
        ("name: API,", "name: API, enabled: false,", "acme/sources/api"),
        ("[wk_test_web_acme]", "[wk_test_web_acme, wk_test_web_next]", "acme/sources/web"),
        ("9000/hook", "9001/hook", "acme/destinations/hook"),
        ("sources: [web]", "sources: [web, api]", "acme/destinations/hook"),
        ("sources: [web]", "sources: []", "acme/destinations/hook"),
        ("enabled: true", "enabled: false", "acme/destinations/hook"),
        ("ordering: none", "ordering: per_user", "acme/destinations/hook"),
        ("retry_hours: 24", "retry_hours: 1.5", "acme/destinations/hook"),
        ("amount: 100", "amount: 99", "acme/destinations/hook"),
        ("mappings: []", 'mappings: [{name: A, action: send, trigger: type = "track"}]', "acme/destinations/hook"),
    ],
)
def test_only_what_differs_is_changed(db: None, old: str, new: str, path: str) -> None:
    two_owners = FILE.replace("members: [", "members: [{email: eve@acme.test, role: owner}, ")
    run(two_owners)
    text = two_owners.replace(old, new) if old != "role: owner" else two_owners.replace("role: owner, p", f"{new}, p")
    report = run(text)
    assert (report.created, report.changed) == ([], [path])
    assert run(text).changed == []


def test_what_the_file_does_not_name_is_left_alone(db: None) -> None:
    run()
    run("workspaces: [{slug: acme}]")
    assert Source.unscoped.filter(deleted_at=None).count() == 2
    assert Destination.unscoped.get().rate_limit == {"amount": 100, "per_seconds": 1}
    assert Connection.unscoped.get().is_enabled


def test_a_source_that_the_list_leaves_out_is_switched_off_and_may_come_back(db: None) -> None:
    run()
    run(FILE.replace("sources: [web]", "sources: [api]"))
    assert {link.source.slug: link.is_enabled for link in Connection.unscoped.all()} == {"web": False, "api": True}
    run()
    assert {link.source.slug: link.is_enabled for link in Connection.unscoped.all()} == {"web": True, "api": False}


def test_mappings_go_by_name_and_unlisted_ones_are_switched_off(db: None) -> None:
    run()
    text = FILE.replace(
        "mappings: []",
        'mappings: [{name: Orders, action: send, trigger: event = "Order", fields: {data: {"@path": $.properties}}}]',
    )
    run(text)
    found = {row.name: (row.is_enabled, row.version) for row in Mapping.unscoped.all()}
    assert found == {"All events": (False, 1), "Orders": (True, 1)}
    run(text.replace('event = "Order"', 'event = "Sale"'))
    assert Mapping.unscoped.get(name="Orders").version == 2


def test_a_password_is_set_for_a_new_user_only(db: None) -> None:
    run()
    run(ADA_PASSWORD="another password")
    assert User.objects.get().check_password(PASSWORD["ADA_PASSWORD"])


def test_a_user_without_a_password_gets_one(db: None) -> None:
    run(FILE.replace(", password_env: ADA_PASSWORD", ""))
    assert run().changed == ["acme/members/ada@acme.test"]
    assert User.objects.get().has_usable_password()


def test_a_write_key_may_come_from_the_environment(db: None) -> None:
    run(FILE.replace("[wk_test_web_acme]", "[{env: WEB_KEY}]"), WEB_KEY="brought-from-elsewhere")
    assert keys.find_source("brought-from-elsewhere")


def test_a_hashed_write_key_is_taken_as_it_is(db: None) -> None:
    sha256 = keys.digest("the-old-server-key")
    run(FILE.replace("kind: server}", f"kind: server, write_keys: [{{sha256: {sha256}, last4: -key}}]}}"))
    assert keys.find_source("the-old-server-key")


def test_secret_settings_may_come_from_the_environment(db: None) -> None:
    text = FILE.replace(
        'hook"}', 'hook", signing_secret: {env: SIGNING}, secret_headers: {X-Key: {env: KEY}, X-Other: plain}}'
    )
    secrets = {"SIGNING": "whsec_" + "A" * 32, "KEY": "from-the-environment"}
    run(text, **secrets)
    opened = Destination.unscoped.get().open_settings()
    assert opened["signing_secret"] == secrets["SIGNING"]
    assert opened["secret_headers"] == {"X-Key": "from-the-environment", "X-Other": "plain"}
    assert run(text, **secrets).changed == []
    assert run(text, **{**secrets, "KEY": "a-newer-one"}).changed == ["acme/destinations/hook"]


def test_every_mistake_is_told_at_once_with_its_line(db: None) -> None:
    text = textwrap.dedent("""\
        workspaces:
          - slug: Acme Inc
          - slug: acme
            nmae: Acme
            members:
              - {email: nobody, role: owner}
              - {email: ada@acme.test, role: emperor}
              - {email: eve@acme.test, role: viewer, password_env: EVE_PASSWORD}
            sources:
              - {slug: web, kind: website, write_keys: [{env: WEB_KEY}]}
              - {slug: web, kind: website}
              - {slug: api, kind: toaster}
              - {slug: app, kind: mobile, write_keys: ["too short"]}
            destinations:
              - slug: hook
                connector: webhook
                settings:
                  url: "not a url"
                  signing_secret: {env: SIGNING}
                  methud: PUT
                sources: [web, api, nowhere]
                retry_hours: "a day"
                enabled: maybe
                filters: [{drop: true}]
                mappings:
                  - {name: A, action: dance, trigger: type = "track"}
                  - {name: B, action: send, trigger: type = = 1}
                  - {name: C, action: send, trigger: type = "track", fields: {dato: 1}}
              - {slug: slag, connector: slagg}
              - [1, 2]
        """)
    told = {int(line.split()[1].rstrip(":")): line for line in refused(text)}
    expected = {
        2: "workspaces[0].slug",
        4: "did you mean name",
        6: "members[0].email",
        7: "one of owner, admin",
        8: "EVE_PASSWORD is not set",
        10: "WEB_KEY is not set",
        11: "web stands here twice, first on line 10",
        12: "sources[2].kind",
        13: "8 to 128",
        18: "destinations[0].settings.url",
        19: "SIGNING is not set",
        20: "destinations[0].settings.methud",
        21: "there is no source nowhere",
        22: "destinations[0].retry_hours: this must be a number",
        23: "destinations[0].enabled: this must be true or false",
        24: "destinations[0].filters",
        26: "mappings[0].action",
        27: "mappings[1].trigger",
        28: "mappings[2].fields",
        29: "there is no connector slagg",
        30: "destinations[2]: this must be a mapping",
    }
    assert {line: words for line, words in expected.items() if words.lower() not in told.get(line, "").lower()} == {}
    assert set(told) == set(expected)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# nothing", 1),
        ("just text", 1),
        ("{}", 1),
        ("workspaces: acme", 1),
        ("workspaces:\n  - slug: acme\n   name: x", 3),
        ("workspaces:\n  - slug: [acme", 3),
        ("workspaces:\n  - slug: acme\n    slug: other", 3),
        ("workspaces:\n  - slug: 2024", 2),
        ("workspaces:\n  - {slug: acme, ? [a] : b}", 2),
        ("a: &a [x,x]\nb: &b [*a,*a]\nworkspaces: !!python/object:os.system x", 3),
        ("workspaces: \x00", 1),
        ("workspaces: " + "[" * 80 + "]" * 80, 1),
    ],
)
def test_what_is_not_such_a_file_is_refused_with_a_line(db: None, text: str, line: int) -> None:
    assert refused(text)[0].startswith(f"line {line}:")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: Acme", 'name: "A\\0"', "line 3: workspaces[0].name: text cannot hold a NUL character"),
        (
            "name: API",
            'labels: {"a\\0": b}',
            "line 10: workspaces[0].sources[1].labels: a key cannot hold a NUL character",
        ),
        (
            "retry_hours: 24",
            "retry_hours: .nan",
            "line 19: workspaces[0].destinations[0].retry_hours: this must be a finite",
        ),
        (
            "per_seconds: 1}",
            "per_seconds: .inf}",
            "line 20: workspaces[0].destinations[0].rate_limit.per_seconds: this must",
        ),
        ("rate_limit:", "rate_limits:", "line 20: workspaces[0].destinations[0].rate_limits: there is no key"),
    ],
)
def test_what_no_database_takes_is_refused_with_its_line(db: None, old: str, new: str, told: str) -> None:
    (problem,) = refused(FILE.replace(old, new), **PASSWORD)
    assert problem.startswith(told)


@pytest.mark.parametrize("password", ["x", "password1234", "1234567890123"])
def test_a_password_that_the_admin_would_refuse_is_refused_with_its_line(db: None, password: str) -> None:
    (problem,) = refused(FILE, ADA_PASSWORD=password)
    assert problem.startswith("line 4: workspaces[0].members[0].password_env: This password")


def test_one_mistake_is_told_once(db: None) -> None:
    auth = 'settings: {url: "http://127.0.0.1:9000/hook", auth: bearer, token: {env: TOKEN}}'
    text = FILE.replace('settings: {url: "http://127.0.0.1:9000/hook"}', auth)
    assert [problem.split(": ", 2)[2] for problem in refused(text, **PASSWORD)] == [
        "the environment variable TOKEN is not set"
    ]
    (problem,) = refused("workspaces: [[1, 2]]")
    assert "must be a mapping" in problem


def test_nested_aliases_cannot_grow_without_bound(db: None) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "too large" in refused("\n".join(lines))[-1]


def test_a_key_of_another_workspace_is_refused_without_naming_it(globex: Workspace) -> None:
    make_source_and_key(globex, "secret-project", key="wk_test_web_acme")
    assert refused(FILE, **PASSWORD) == [
        "line 9: workspaces[0].sources[0].write_keys[0]: This write key cannot be used; choose another."
    ]


def test_kind_and_connector_of_what_exists_cannot_be_changed(db: None) -> None:
    run()
    told = refused(FILE.replace("kind: website", "kind: mobile").replace("webhook", "receiver"), **PASSWORD)
    assert [line.split(": ")[1] for line in told] == [
        "workspaces[0].sources[0].kind",
        "workspaces[0].destinations[0].connector",
    ]


def test_a_changed_address_says_why_the_secret_is_needed_again(db: None) -> None:
    auth = ", auth: bearer, token: {env: TOKEN}}"
    run(FILE.replace('hook"}', f'hook"{auth}'), TOKEN="a-long-enough-token")
    elsewhere = FILE.replace('9000/hook"}', '9000/elsewhere", auth: bearer}')
    (problem,) = refused(elsewhere, **PASSWORD)
    assert problem.endswith("Token is needed. The stored one counts no more, because the settings lead elsewhere now.")


def test_a_third_live_key_is_refused_with_its_line(db: None) -> None:
    told = refused(FILE.replace("[wk_test_web_acme]", "[key-number-1, key-number-2, key-number-3]"), **PASSWORD)
    assert told[0].startswith("line 9: workspaces[0].sources[0].write_keys[2]: A source has at most 2")


def test_the_command_prints_one_json_document(db: None, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ADA_PASSWORD", "correct horse battery")
    (tmp_path / "file.yaml").write_text(FILE)
    call_command("apply", str(tmp_path / "file.yaml"), "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["created"], told["changed"], told["unchanged"]) == (ALL, [], [])
    assert list(told["write_keys"]) == ["acme/sources/api"]


def test_the_command_ends_with_2_and_lists_the_problems(db: None, tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("workspaces:\n  - slug: acme\n    color: red\n")
    with pytest.raises(CommandError, match=r"line 3: workspaces\[0\].color: there is no key color") as caught:
        call_command("apply", str(tmp_path / "file.yaml"))
    assert caught.value.returncode == 2


def test_a_file_that_cannot_be_read_ends_with_2(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("apply", str(tmp_path / "missing.yaml"))
    assert caught.value.returncode == 2


def test_a_file_that_is_no_text_is_refused_with_the_line(db: None, tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    file.write_bytes(b"workspaces:\n  - slug: acme\n    name: \xff\n")
    with pytest.raises(CommandError, match=r"^line 3: this is not UTF-8$") as caught:
        call_command("apply", str(file))
    assert caught.value.returncode == 2


def test_members_keep_what_the_file_does_not_name(db: None) -> None:
    run(FILE.replace("role: owner", "role: owner, can_see_personal_data: true"))
    run()
    assert Member.unscoped.get().can_see_personal_data
