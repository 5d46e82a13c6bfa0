"""People at work in the admin: an operator clears a dead letter, and looks at what happened to an event."""

from __future__ import annotations

from typing import Any

import pytest

from hub.delivery.models import DeadLetter
from tenants.models import AuditEntry
from tests import factories
from tests.adminsite import staff

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "<img src=x onerror=alert(1)>"


def sign_in(page: Any) -> None:
    page.goto("/admin/")
    page.get_by_label("Email").fill("olga@staff.test")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()


@pytest.fixture
def letter() -> DeadLetter:
    source = factories.make_source(factories.make_workspace("acme"), "web")
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    seq = staff.make_event(source, name=HOSTILE, body=f'{{"event": "{HOSTILE}", "userId": "ada@acme.test"}}')
    return staff.make_letter(staff.make_pipeline(hook), source, seq)


def test_an_operator_discards_a_dead_letter_and_says_why(page: Any, letter: DeadLetter) -> None:
    sign_in(page)
    page.get_by_role("navigation", name="Areas").get_by_role("link", name="Dead letters").click()
    page.get_by_role("checkbox", name=f"Select dead letter {letter.pk}").check()
    page.get_by_role("combobox", name="Action").select_option(label="Discard")
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").fill("the receiver is gone")
    page.get_by_role("button", name="Discard").click()
    page.get_by_text("1 of 1 marked as seen to.").wait_for()
    assert AuditEntry.unscoped.get(action="dead_letter.discarded").after["reason"] == "the receiver is gone"


def test_an_event_with_markup_for_a_name_is_text_and_reveals_on_request(page: Any, letter: DeadLetter) -> None:
    sign_in(page)
    page.get_by_role("link", name="Events").first.click()
    page.get_by_text(HOSTILE).first.wait_for()
    page.get_by_role("link", name=str(letter.seq), exact=True).click()
    assert page.get_by_text("ada@acme.test").count() == 0
    page.get_by_role("button", name="Show personal data").click()
    page.get_by_text("ada@acme.test").first.wait_for()


@pytest.mark.parametrize("width", [320, 1280])
def test_the_first_page_and_the_pipelines_fit_any_screen(page: Any, letter: DeadLetter, width: int) -> None:
    sign_in(page)
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_role("table", name="Queues").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("navigation", name="Areas").get_by_role("link", name="Pipelines").click()
    page.get_by_role("columnheader", name="Drains in").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("width", [320, 1280])
def test_a_group_of_failures_and_a_trace_fit_any_screen(page: Any, letter: DeadLetter, width: int) -> None:
    sign_in(page)
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_role("navigation", name="Areas").get_by_role("link", name="Failures").click()
    page.get_by_role("rowheader").get_by_role("link").first.click()
    page.get_by_role("heading", name="Cause").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("link", name="Trace").first.click()
    page.get_by_role("heading", name="Accepted").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_narrow_screen_keeps_the_deliveries_form_in_sight(page: Any, letter: DeadLetter) -> None:
    sign_in(page)
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto("/admin/deliveries/?workspace=acme")
    page.get_by_role("cell", name="dead", exact=False).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
