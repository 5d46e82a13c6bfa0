"""`manage.py connector`: what connectors there are, how each is set up, and what one makes of an event."""

from __future__ import annotations

import json
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from connectors import catalogue, registry
from connectors.base import Connector, Identifiers
from connectors.errors import ConnectorError, SettingsError, UnknownConnector
from hub.delivery import declared, erasing, samples, trials, trying
from hub.delivery.management.naming import find_destinations, find_workspace
from hub.delivery.stored import UnusableDestination
from hub.delivery.trials import Unsupported
from hub.delivery.trying import BadEvent
from hub.lib.net import BlockedURL
from tenants.auditing import Actor
from tenants.models import Destination

ACTOR = Actor(label="manage.py connector")
REFUSALS = (BadEvent, SettingsError, UnknownConnector, UnusableDestination, Unsupported, ConnectorError, BlockedURL)
FIXTURES = Path("tests") / "connectors"


class Command(BaseCommand):
    help = "List connectors, show one's page, try an event out, or have people erased at a destination."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser("list", help="what may be chosen")
        show = verbs.add_parser("show", help="the connector's page, in Markdown")
        show.add_argument("slug")
        show.add_argument("--source", action="store_true", help="the source connector of this name")
        test = verbs.add_parser("test", help="what a connector or a destination makes of an event")
        test.add_argument("slug", nargs="?", help="a connector, set up from --with alone")
        test.add_argument("--destination", metavar="SLUG", help="a destination of the workspace, as it is set up")
        test.add_argument("--workspace", metavar="SLUG")
        test.add_argument("--event", metavar="FILE", help="a JSON file with one event or a list; else a sample")
        test.add_argument("--with", dest="given", metavar="FILE", help="settings in JSON; else a fixture's, or made up")
        test.add_argument("--mapping", metavar="FILE", help='{"action", "fields", "trigger"?}; else the presets')
        kind = test.add_mutually_exclusive_group()
        kind.add_argument("--dry-run", action="store_true", help="make no call; this is what happens anyway")
        kind.add_argument("--live", action="store_true", help="make the calls")
        delete = verbs.add_parser("delete", help="have people erased by the vendor")
        delete.add_argument("--destination", metavar="SLUG", required=True)
        delete.add_argument("--workspace", metavar="SLUG", required=True)
        delete.add_argument("--user-id", metavar="ID", action="append", default=[])
        delete.add_argument("--anonymous-id", metavar="ID", action="append", default=[])
        delete.add_argument("--email", metavar="ADDRESS", action="append", default=[])
        for each in (listing, show, test, delete):
            each.add_argument("--json", action="store_true", default=SUPPRESS, help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Do what was asked; what cannot be done is told in one sentence."""
        verbs = {"list": self._list, "show": self._show, "test": self._test, "delete": self._delete}
        try:
            verbs[options["verb"]](options)
        except REFUSALS as error:
            raise CommandError(str(error), returncode=2) from error

    def _list(self, options: dict[str, Any]) -> None:
        found = {
            "destinations": [catalogue.summary(one) for one in catalogue.destinations()],
            "sources": [catalogue.source_summary(one) for one in catalogue.sources()],
        }
        if options["json"]:
            self._print_json(found)
            return
        for kind, entries in found.items():
            self.stdout.write(f"{kind.capitalize()} ({len(entries)})")
            for one in entries:
                self.stdout.write(f"  {one['slug']:22} {one['category']:12} {one['status']:10} {one['description']}")

    def _show(self, options: dict[str, Any]) -> None:
        slug = options["slug"]
        if options["source"]:
            source = registry.get_source(slug)
            entry, page = catalogue.source_entry(source), catalogue.source_page(source)
        else:
            entry, page = catalogue.entry(registry.get(slug)), catalogue.page(registry.get(slug))
        if options["json"]:
            self._print_json(entry)
        else:
            self.stdout.write(page)

    def _test(self, options: dict[str, Any]) -> None:
        if bool(options["slug"]) == bool(options["destination"]):
            raise CommandError("Name a connector, or a --destination with its --workspace.", returncode=2)
        if options["destination"]:
            if options["given"] or options["mapping"] or not options["event"]:
                message = "A destination has settings and mappings of its own; give an --event, and none of these."
                raise CommandError(message, returncode=2)
            events = trying.read_events(_read(options["event"]))
            found = trials.try_given(_destination(options), events, is_live=options["live"], actor=ACTOR)
        else:
            found = self._declared(options)
        if options["json"]:
            self._print_json(found)
        else:
            self._print_trial(found)
        if options["live"] and not found["ok"]:
            raise SystemExit(1)

    def _declared(self, options: dict[str, Any]) -> dict[str, Any]:
        """Without a database: by what was given, else by a fixture of the source tree, else by samples."""
        connector = registry.get(options["slug"])
        fixture = _fixture(connector)
        given = json_of(options["given"]) if options["given"] else fixture.get("settings")
        known = given if given is not None else samples.settings_for(connector)
        mapping = json_of(options["mapping"]) if options["mapping"] else None
        found: list[Mapping[str, object]] = []
        if options["event"]:
            events = trying.read_events(_read(options["event"]))
        elif fixture:
            events = trying.read_events(json.dumps(fixture.get("events") or fixture["event"]))
            found = fixture.get("found") or []
        else:
            events = trying.read_events(json.dumps(samples.event_for(connector)))
        if mapping is None and fixture and not options["event"]:
            action = connector.action(fixture["action"])
            mapping = {"action": action.key, "fields": fixture.get("mapping") or action.default_mapping}
        mappings = [_mapping(connector, mapping)] if mapping is not None else None
        try:
            config = declared.declare(connector.slug, known, mappings)
        except SettingsError as error:
            hint = "" if given is not None else " These were made up; give --with FILE."
            raise CommandError(f"{error}{hint}", returncode=2) from error
        at = samples.AT if not options["event"] and not options["live"] else None
        trial = trying.try_events(config, events, declared.SOURCE, is_live=options["live"], found=found, at=at)
        return {"connector": connector.slug, **trial.as_json()}

    def _delete(self, options: dict[str, Any]) -> None:
        people = [Identifiers(user_id=user_id) for user_id in options["user_id"]]
        others = tuple(options["anonymous_id"]), tuple(options["email"])
        if any(others):
            first = people[0].user_id if people else None
            people[:1] = [Identifiers(first, *others)]
        if not people:
            raise CommandError("Say whom: --user-id, --anonymous-id or --email.", returncode=2)
        found = erasing.erase(_destination(options), people, actor=ACTOR)
        if options["json"]:
            self._print_json({"people": found})
        for each in [] if options["json"] else found:
            self.stdout.write(f"{each['outcome']}  {each['status']}  {each['reason']}  {each['message']}".rstrip())
        if any(each["outcome"] not in ("delivered", "pending") for each in found):
            raise SystemExit(1)

    def _print_json(self, found: object) -> None:
        self.stdout.write(json.dumps(found, default=str))

    def _print_trial(self, found: dict[str, Any]) -> None:
        for event in found["events"]:
            word = (
                f"goes by {', '.join(event['mappings'])}"
                if event["goes"]
                else f"{event['reason']}: {event['sentence']}"
            )
            self.stdout.write(f"{event['message_id']}  {word}")
        for step in found["steps"]:
            self.stdout.write(f"\n{step['kind']} of {step['mapping']} ({step['action']})")
            request = step["request"]
            if request:
                self.stdout.write(f"{request['method']} {request['url']}")
                self.stdout.write("\n".join(f"{name}: {value}" for name, value in request["headers"]))
                self.stdout.write(f"\n{request['body']}" if request["body"] else "")
            if step.get("note"):
                self.stdout.write(f"({step['note']})")
            if step["response"]:
                self.stdout.write(f"answer {step['response']['status'] or step['response']['error']}")
                self.stdout.write(str(step["response"]["body"]))
            for outcome in step["outcomes"]:
                self.stdout.write(f"-> {outcome['outcome']} {outcome['reason']} {outcome['message']}".rstrip())


def _destination(options: dict[str, Any]) -> Destination:
    if not options["workspace"]:
        raise CommandError("Say whose destination it is: --workspace.", returncode=2)
    found = find_destinations(find_workspace(options["workspace"]), options["destination"])
    return found.filter(deleted_at=None).first() or cast(Destination, found.first())


def _mapping(connector: Connector, given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given.get("action"), str) or not isinstance(given.get("fields"), dict):
        raise CommandError('A mapping is {"action": …, "fields": {…}, "trigger": …}.', returncode=2)
    known = [action.key for action in connector.actions]
    if given["action"] not in known:
        raise CommandError(
            f"{connector.name} has no action {given['action']!r}; it has {', '.join(known)}.", returncode=2
        )
    trigger = given.get("trigger") or ""
    return {"name": "Given", "action": given["action"], "fields": given["fields"], "trigger": str(trigger)}


def _fixture(connector: Connector) -> dict[str, Any]:
    """The connector's first fixture of which a request comes, where this runs in a source tree."""
    paths = sorted((Path(settings.BASE_DIR) / FIXTURES / connector.slug).glob("*.json"))
    found: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return next((each for each in found if any("covers" in one for one in each["requests"])), {})


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}.", returncode=2) from error


def json_of(name: str) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        found = json.loads(_read(name))
    except json.JSONDecodeError as error:
        raise CommandError(f"{name} is not JSON: {error}.", returncode=2) from error
    if not isinstance(found, dict):
        raise CommandError(f"{name} holds no JSON object.", returncode=2)
    return found
