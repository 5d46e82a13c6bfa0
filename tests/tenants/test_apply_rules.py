"""Filters and toggles of a file: made, changed, put in order, switched off when left out; mistakes by their lines."""

from __future__ import annotations

import textwrap

import pytest
import yaml

from tenants.manifest.applying import apply
from tenants.manifest.errors import ManifestError
from tenants.manifest.exporting import export
from tenants.manifest.report import Report
from tenants.models import AuditEntry, Destination, DestinationFilter, SourceToggle, Workspace
from tests.factories import TESTER

pytestmark = pytest.mark.django_db
HEAD = """\
workspaces:
  - slug: acme
    sources: [{slug: web, kind: website}, {slug: api, kind: server}]
    destinations:
      - slug: hook
        connector: webhook
        settings: {url: "https://hooks.example.test/in"}
        sources: [web, api]
"""
RULES = """\
        filters:
          - {name: No tests, if: properties.test = true, drop: true}
          - {name: Few clicks, source: web, if: 'event = "Clicked"', sample: {percent: 0.1, path: userId}}
          - {name: Half of pages, if: 'type = "page"', sample: 0.5, enabled: false}
          - {name: No mail, if: all, drop_properties: {properties: [email], "": [userId]}}
          - {name: Plan only, if: all, allow_properties: {traits: [plan]}}
        toggles:
          - {source: web, type: track, event: Clicked}
          - {source: web, type: identify, properties: [traits.email]}
"""


def run(text: str = HEAD + RULES, **environment: str) -> Report:
    return apply(text, environment=environment, actor=TESTER)


def problems(rules: str) -> dict[int, str]:
    with pytest.raises(ManifestError) as caught:
        run(HEAD + textwrap.indent(textwrap.dedent(rules), " " * 8))
    return {problem.line - HEAD.count("\n"): problem.message for problem in caught.value.problems}


def states() -> dict[str, bool]:
    return dict(DestinationFilter.unscoped.order_by("position").values_list("name", "is_enabled"))


def test_filters_and_toggles_of_a_file_are_made(db: None) -> None:
    run()
    found = DestinationFilter.unscoped.order_by("position").select_related("source")
    assert [(one.name, one.action, one.percent, one.path, one.source_slug) for one in found] == [
        ("No tests", "drop", None, "", None),
        ("Few clicks", "sample", 0.1, "userId", "web"),
        ("Half of pages", "sample", 0.5, "", None),
        ("No mail", "drop_properties", None, "", None),
        ("Plan only", "allow_properties", None, "", None),
    ]
    assert states()["Half of pages"] is False
    assert [(str(one), one.paths) for one in SourceToggle.unscoped.order_by("call")] == [
        ("identify", ["traits.email"]),
        ("track Clicked", None),
    ]


def test_a_second_run_changes_nothing(db: None) -> None:
    run()
    before = AuditEntry.unscoped.count()
    assert run().changed == []
    assert AuditEntry.unscoped.count() == before


def test_what_the_file_leaves_out_is_switched_off(db: None) -> None:
    run()
    shorter = RULES.replace("          - {name: No tests, if: properties.test = true, drop: true}\n", "")
    shorter = shorter.replace("          - {source: web, type: track, event: Clicked}\n", "")
    assert run(HEAD + shorter).changed == ["acme/destinations/hook"]
    assert states()["No tests"] is False
    assert states()["No mail"] is True
    assert [str(one) for one in SourceToggle.unscoped.filter(is_enabled=False)] == ["track Clicked"]


def test_a_file_without_rules_says_nothing_about_them(db: None) -> None:
    run()
    assert run(HEAD).changed == []
    assert run(HEAD + "        filters: []\n        toggles: []\n").changed == []
    assert states()["No tests"] is True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("properties.test = true", "properties.test = 1"),
        ("percent: 0.1", "percent: 0.2"),
        ("source: web, if", "source: api, if"),
        ("source: web, if", "if"),
        ("[email]", "[email, phone]"),
        ("sample: 0.5, enabled: false", "sample: 0.5, enabled: true"),
        ("[traits.email]", "[traits.phone]"),
        (", event: Clicked}", ", event: Clicked, enabled: false}"),
        ("name: No tests", "name: Not tests"),
    ],
)
def test_each_change_is_made_once(db: None, old: str, new: str) -> None:
    run()
    text = HEAD + RULES.replace(old, new, 1)
    assert run(text).changed == ["acme/destinations/hook"]
    assert run(text).changed == []


def test_the_order_of_the_file_is_the_order_of_the_filters(db: None) -> None:
    run()
    lines = RULES.splitlines(keepends=True)
    run(HEAD + "".join([lines[0], *reversed(lines[1:6]), *lines[6:]]))
    assert list(states()) == ["Plan only", "No mail", "Half of pages", "Few clicks", "No tests"]


def test_an_export_is_the_same_file(db: None) -> None:
    run()
    text = export(Workspace.objects.get())
    secret = str(Destination.unscoped.get().open_settings()["signing_secret"])
    assert run(text, ACME_HOOK_SIGNING_SECRET=secret).changed == []
    (hook,) = yaml.safe_load(text)["workspaces"][0]["destinations"]
    assert hook["filters"][1] == {
        "name": "Few clicks", "source": "web", "if": 'event = "Clicked"',
        "sample": {"percent": 0.1, "path": "userId"}, "enabled": True,
    }  # fmt: skip
    assert hook["toggles"][0] == {"source": "web", "type": "identify", "properties": ["traits.email"], "enabled": True}


def test_every_mistake_is_told_at_its_line(db: None) -> None:
    told = problems("""\
        filters:
          - {name: A, if: event = = 1, drop: true}
          - {name: B, if: all}
          - {name: C, if: all, drop: true, sample: 0.5}
          - {name: D, if: all, sample: 2}
          - {name: E, if: all, sample: {percent: 0.5, pathe: userId}}
          - {name: F, if: all, drop_properties: {secrets: [a]}}
          - {name: G, if: all, drop: true, source: nowhere}
          - {name: H, if: all, drop: false}
          - {name: I, drop: true}
          - {name: I, if: all, drop: true, when: now}
          - {name: J, if: all, allow_properties: [email]}
          - {name: K, if: all, drop: true}
          - {name: K, if: all, drop: true}
        toggles:
          - {source: web, type: order}
          - {source: web, type: group, event: Joined}
          - {source: web, type: track, properties: [email]}
          - {source: nowhere, type: track}
          - {type: track}
          - {source: web, type: page}
          - {source: web, type: page}
        """)
    expected = {
        2: "(character 9)",
        3: "a filter has one of sample, drop",
        4: "a filter has one of sample, drop",
        5: "share from 0 to 1",
        6: "did you mean path?",
        7: "Properties are in context",
        8: "there is no source nowhere",
        9: "this must be true",
        10: "if is missing",
        11: "there is no key when",
        12: "this must be a mapping",
        14: "K stands here twice, first on line",
        16: "one of track, identify",
        17: "Calls of type group have no name",
        18: "such as properties.email",
        19: "there is no source nowhere",
        20: "source is missing",
        22: "web page stands here twice",
    }
    assert {line: words for line, words in expected.items() if words not in told.get(line, "")} == {}
    assert set(told) == set(expected)
    assert not DestinationFilter.unscoped.exists()
