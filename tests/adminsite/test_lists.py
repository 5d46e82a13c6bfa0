"""Lists stay quick with many rows, page by key, and survive whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hub.adminsite import changelists, counting
from hub.adminsite.site import site
from hub.events.models import Event
from tests import factories
from tests.adminsite import staff
from tests.adminsite.conftest import Scene

pytestmark = pytest.mark.django_db
MOST_QUERIES = 15
ROWS = 200
MODELS = sorted(site._registry, key=lambda model: model._meta.label)
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</pre><script>alert(1)</script>",
    "x" * 10_000,
    "\u202eright to left\u202c אבג",
    "tab\tcontrol\x01\x7f end",
    "{{ 7|add:7 }}{% csrf_token %}",
    "=cmd()",
    "🙂\u200d🙂",
]  # fmt: skip


@pytest.fixture
def many(scene: Scene) -> Scene:
    """Two hundred rows of everything that grows, over several sources and destinations."""
    sources = [factories.make_source(scene.workspace) for _ in range(3)]
    pipelines = [staff.make_pipeline(factories.make_destination(scene.workspace, sources=sources)) for _ in range(12)]
    for number in range(ROWS):
        source, pipeline = sources[number % 3], pipelines[number % 12]
        seq = staff.make_event(source, name=f"Event {number}", message=f"m{number}")
        staff.make_retry(pipeline, source, seq)
        staff.make_letter(pipeline, source, seq)
        staff.make_attempt(pipeline, seq)
        staff.make_batch(pipeline, [seq], [0])
        staff.make_rejected(source)
    for number in range(20):
        staff.make_beat(f"worker-{number}")
    for pipeline in pipelines:
        staff.make_books(pipeline, sources[0].pk)
    return scene


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_list_needs_more_than_fifteen_queries(many: Scene, model: Any) -> None:
    client = staff.signed_in()
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    assert len(queries) <= MOST_QUERIES


def test_the_list_of_deliveries_needs_no_more_either(many: Scene) -> None:
    client = staff.signed_in()
    with CaptureQueriesContext(connection) as queries:
        page = client.get(reverse("admin:deliveries"), {"workspace": "acme"}).content.decode()
    assert page.count("<tr>") == 101
    assert len(queries) <= MOST_QUERIES


def test_a_log_list_pages_by_key_down_and_up_again(many: Scene) -> None:
    client = staff.signed_in()
    address = reverse("admin:events_event_changelist")
    first = client.get(address).context["cl"]
    second = client.get(address + first.older).context["cl"]
    back = client.get(address + second.newer).context["cl"]
    assert [row.seq for row in back.result_list] == [row.seq for row in first.result_list]
    assert max(row.seq for row in second.result_list) < min(row.seq for row in first.result_list)
    assert first.newer is None


def test_a_page_holds_at_most_a_hundred_rows() -> None:
    assert all(admin.list_per_page <= 100 and admin.list_max_show_all <= 100 for admin in site._registry.values())


def test_a_big_table_is_never_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "EXACT_UP_TO", -1)
    with CaptureQueriesContext(connection) as queries:
        count, is_exact = counting.count_or_estimate(Event.objects.all())
    assert not is_exact
    assert count >= 0
    assert [
        query["sql"] for query in queries if "COUNT(" in query["sql"].upper() and "EXPLAIN" not in query["sql"]
    ] == []


def test_the_number_of_rows_is_exact_while_it_is_small(many: Scene) -> None:
    cl = staff.signed_in().get(reverse("admin:events_event_changelist"), {"workspace": "acme"}).context["cl"]
    assert cl.count_in_words == f"{ROWS + 1:,}"


@pytest.mark.parametrize("model", ["events_event", "delivery_attempt", "delivery_retryrow", "delivery_deadletter"])
@pytest.mark.parametrize("text", ["nothing like it", "msg_unknown", "9" * 40, "\u202e"])
def test_a_search_that_finds_nothing_says_so(scene: Scene, model: str, text: str) -> None:
    response = staff.signed_in().get(reverse(f"admin:{model}_changelist"), {"q": text})
    assert response.status_code == 200
    assert response.context["cl"].result_list == []


@pytest.mark.parametrize("query", ["workspace=nobody", "since=never", "until=24h&since=1h", "destination=none", "x=1"])
def test_a_filter_that_cannot_be_meant_is_not_an_error(scene: Scene, query: str) -> None:
    client = staff.signed_in()
    for page in ("admin:events_event_changelist", "admin:delivery_attempt_changelist", "admin:deliveries"):
        assert client.get(f"{reverse(page)}?{query}", follow=True).status_code == 200


@pytest.mark.parametrize("before", ["nonsense", "9" * 40])
def test_a_key_that_is_none_is_not_an_error(scene: Scene, before: str) -> None:
    response = staff.signed_in().get(reverse("admin:events_event_changelist"), {changelists.BEFORE: before})
    assert response.status_code in (200, 302)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12].encode("ascii", "backslashreplace").decode())
def test_hostile_data_breaks_no_page(scene: Scene, text: str) -> None:
    client = staff.signed_in()
    body = f'{{"event": {as_json(text)}, "properties": {{"x": {as_json(text)}}}}}'
    seq = staff.make_event(scene.source, name=text, user=text[:200], message=text[:200], body=body)
    exchange = f'{{"url": "http://[bad", "body": {as_json(text)}, "headers": []}}'
    rows = {
        "events_event": seq,
        "events_rejected": staff.make_rejected(scene.source, text),
        "delivery_retryrow": staff.make_retry(scene.pipeline, scene.source, seq, reason=text[:100]).pk,
        "delivery_deadletter": staff.make_letter(
            scene.pipeline, scene.source, seq, reason=text[:100], message=text[:500], message_id=text[:200]
        ).pk,
        "delivery_attempt": staff.make_attempt(scene.pipeline, seq, text=exchange, reason=text[:100]),
    }
    client.post(reverse("admin:events_event_reveal", args=[seq]))
    pages = [reverse(f"admin:{name}_changelist") for name in rows]
    pages += [reverse(f"admin:{name}_change", args=[key]) for name, key in rows.items()]
    pages.append(reverse("admin:deliveries"))
    shown = [client.get(page) for page in pages]
    assert [response.status_code for response in shown] == [200] * len(pages)
    whole = "".join(response.content.decode() for response in shown)
    assert not any(bad in whole for bad in ("<img src=x", "<script>alert", "\u202e", "\x01"))


def as_json(text: str) -> str:
    """The text as JSON, with nothing but ASCII."""
    return json.dumps(text)


def test_no_page_has_inline_script_or_style(many: Scene) -> None:
    client = staff.signed_in()
    pages = ["admin:index", "admin:deliveries", "admin:events_event_changelist", "admin:tenants_user_changelist"]
    whole = "".join(client.get(reverse(page)).content.decode() for page in pages)
    assert "style=" not in whole
    assert "<style" not in whole
    assert "<script>" not in whole


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_takes_too_long_gives_a_page_that_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.adminsite.site.STATEMENT_TIMEOUT", "50ms")
    monkeypatch.setattr("hub.delivery.admin.figures.BEHIND", "SELECT pg_sleep(1) WHERE %s::timestamptz < now()")
    response = staff.signed_in().get("/admin/")
    assert response.status_code == 503
    assert "five seconds" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_statement_asked_past_django_gives_that_page_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(connection: Any, *_: Any) -> None:
        connection.execute("SELECT pg_sleep(1)")

    monkeypatch.setattr("hub.adminsite.site.STATEMENT_TIMEOUT", "50ms")
    monkeypatch.setattr("hub.delivery.admin.groups.groups.dead", slow)
    response = staff.signed_in().get(reverse("admin:failures"))
    assert response.status_code == 503
    assert "five seconds" in response.content.decode()


def test_an_event_that_only_waits_is_found_with_its_trace(scene: Scene) -> None:
    seq = staff.make_event(scene.source, message="waits-only")
    page = staff.signed_in().get(reverse("admin:deliveries"), {"workspace": "acme", "q": "waits-only"})
    assert reverse("admin:events_event_trace", args=[seq]) in page.content.decode()
