"""Pages on which mappings, filters and toggles are written: new ones, and changes of those that there are.

Everything goes through the services: what they refuse stands at its field, each change is a version and an entry of the
audit trail, and who edits what somebody else has changed meanwhile is told instead of undoing it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.db.models import Model, Q, QuerySet

from connectors import registry
from hub.adminsite.site import ExtraPage, site
from tenants import services
from tenants.admin.acting import actor_of
from tenants.admin.pages import Page, ReasonForm, view_of
from tenants.models import Destination, DestinationFilter, Mapping, Source, SourceToggle
from tenants.models.filter import Call, FilterAction

LONGEST_JSON = 200_000
LONGEST_TEXT = 20_000
LIMITS = ("max_items", "max_bytes", "max_wait_s")


def text_area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "cols": 90, "spellcheck": "false", "class": "code"})


class ObjectField(forms.CharField):
    """A JSON object; what is no JSON is told by line and column."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_JSON, widget=text_area(14), **options)

    def prepare_value(self, value: object) -> object:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value

    def clean(self, value: object) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            found = json.loads(text, object_pairs_hook=_each_once)
        except json.JSONDecodeError as error:
            message = f"This is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
            raise forms.ValidationError(message) from error
        except ValueError as error:  # the only other one there is
            raise forms.ValidationError("It holds a number that is too large.") from error
        except RecursionError as error:
            raise forms.ValidationError("This is nested too deeply.") from error
        if not isinstance(found, dict):
            raise forms.ValidationError("Give a JSON object, in braces.")
        return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise forms.ValidationError(f"The key {json.dumps(twice)} is there twice.")
    return found


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_TEXT, required=False, widget=text_area(6), **options)

    def prepare_value(self, value: object) -> object:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: object) -> Any:
        lines = [line.strip() for line in super().clean(value).splitlines()]
        return [line for line in lines if line] or None


class RuleForm(ReasonForm):
    """What all rules have; `seen` is how the row stood when the page was opened."""

    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    is_enabled = forms.BooleanField(label="In force", required=False, initial=True)


class TextInALanguage(forms.CharField):
    """A trigger or condition. Browsers send each end of line as CR LF, which would be a change that nobody made."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class MappingForm(RuleForm):
    name = forms.CharField(max_length=200)
    action = forms.ChoiceField()
    trigger = TextInALanguage(
        max_length=LONGEST_TEXT, widget=text_area(3), help_text='Such as type = "track" and event = "Order Completed".'
    )
    fields_ = ObjectField(label="Fields", required=False, help_text="JSON: a template for each field of the action.")
    max_items = forms.IntegerField(label="Batch: events", required=False, help_text="Empty: as the action has it.")
    max_bytes = forms.IntegerField(label="Batch: bytes", required=False)
    max_wait_s = forms.FloatField(label="Batch: seconds to wait for others", required=False)
    position = forms.IntegerField(
        label="Place", required=False, min_value=1, max_value=50, help_text="1 is asked first. Empty: where it stands."
    )
    field_order = ["name", "action", "trigger", "fields_", *LIMITS, "position", "is_enabled", "reason"]


class FilterForm(RuleForm):
    name = forms.CharField(max_length=64)
    source = forms.ModelChoiceField(Source.unscoped.none(), required=False, empty_label="all sources")
    condition = TextInALanguage(
        max_length=LONGEST_TEXT, widget=text_area(3), help_text="In the filter language, or the word all."
    )
    action = forms.ChoiceField(label="What happens to them", choices=FilterAction.choices)
    percent = forms.FloatField(required=False, help_text="Of a sample: the share that is sent, from 0 to 1.")
    path = forms.CharField(max_length=500, required=False, help_text="Of a sample: the value that decides, as userId.")
    fields_ = ObjectField(
        label="Keys", required=False, help_text='Of properties, by the object they are in: {"properties": ["email"]}.'
    )
    position = forms.IntegerField(label="Place", required=False, min_value=1, max_value=50)
    field_order = ["name", "source", "condition", "action", "percent", "path", "fields_", "position", "is_enabled"]


class ToggleForm(RuleForm):
    paths = LinesField(
        label="Properties", help_text="What is taken out, such as properties.email, one on each line. Empty: all of it."
    )
    field_order = ["paths", "is_enabled", "reason"]


class NewToggleForm(ToggleForm):
    source = forms.ModelChoiceField(Source.unscoped.none())
    call = forms.ChoiceField(choices=Call.choices)
    event_name = forms.CharField(label="Event", max_length=200, required=False, help_text="Empty: every such call.")
    field_order = ["source", "call", "event_name", "paths", "is_enabled", "reason"]


class RulePage(Page):
    """A page about one rule, or about the destination that gets a new one."""

    edits: ClassVar[bool] = True

    @property
    def destination(self) -> Destination:
        found: Destination = self.subject.destination if self.edits else self.subject
        return found

    def about(self) -> str:
        of = f"{self.subject}, " if self.edits else ""
        return f"{of}destination {self.destination.slug}, workspace {self.destination.workspace.slug}"

    def place_of(self, field: str, message: str, form: Any) -> str | None:
        if field == "fields":
            return "fields_"
        if field == "batch":
            return next((name for name in LIMITS if message.startswith(name)), LIMITS[0])
        return super().place_of(field, message, form)

    def get_initial(self) -> dict[str, Any]:
        if not self.edits:
            return {}
        return {**self.values_of(self.subject), "is_enabled": self.subject.is_enabled,
                "seen": services.mark_of(self.subject)}  # fmt: skip

    def values_of(self, row: Any) -> dict[str, Any]:
        """What the form shows of a row."""
        raise NotImplementedError

    def begin(self, values: dict[str, Any]) -> None:
        """Make sure that what is edited is still what was looked at."""
        services.require_unchanged(self.subject, values["seen"])

    def sources(self) -> QuerySet[Source]:
        """Those there are, and the rule's own: one that was deleted must not turn into all of them."""
        own = self.subject.source_id if self.edits else None
        known = Source.objects.for_workspace(self.destination.workspace_id)
        return known.filter(Q(deleted_at=None) | Q(pk=own)).order_by("slug")


class OrderedRulePage(RulePage):
    """A rule that has its place among others: it is made or changed, switched on or off, and put there."""

    create: ClassVar[Callable[..., Any]]
    update: ClassVar[Callable[..., Any]]
    enable: ClassVar[Callable[..., Any]]
    move: ClassVar[Callable[..., Any]]

    def content(self, values: dict[str, Any]) -> dict[str, Any]:
        """What the services take."""
        raise NotImplementedError

    def act(self, values: dict[str, Any]) -> Model:
        actor, content = actor_of(self.request), self.content(values)
        row: Model
        if self.edits:
            self.begin(values)
            row = self.update(self.subject, actor=actor, **content)
            self.enable(row, values["is_enabled"], actor=actor)
        else:
            row = self.create(self.subject, is_enabled=values["is_enabled"], actor=actor, **content)
        if values["position"] is not None:
            self.move(row, values["position"] - 1 - place_of(row), actor=actor)
        return row


class MappingPage(OrderedRulePage):
    form_class = MappingForm
    create, update = staticmethod(services.create_mapping), staticmethod(services.update_mapping)
    enable, move = staticmethod(services.set_mapping_enabled), staticmethod(services.move_mapping)
    permission = "tenants.change_mapping"

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        connector = registry.find(self.destination.connector)
        actions = [(one.key, f"{one.title} ({one.key})") for one in connector.actions] if connector else []
        form.fields["action"].choices = actions
        return form

    def content(self, values: dict[str, Any]) -> dict[str, Any]:
        batch = {name: values[name] for name in LIMITS if values[name] is not None}
        content = {name: values[name] for name in ("name", "action", "trigger")}
        return {**content, "fields": values["fields_"] or {}, "batch": batch or None}


class EditMapping(MappingPage):
    title = "Change the mapping"
    effect = "It acts on whatever is sent from now on, also on what waits already. What it was is kept as a version."
    noted = "mapping.edited"
    subjects = Mapping

    def values_of(self, row: Mapping) -> dict[str, Any]:
        content = {name: getattr(row, name) for name in ("name", "action", "trigger")}
        return {**content, "fields_": row.fields, **(row.batch or {})}


class NewMapping(MappingPage):
    title = "New mapping"
    effect = "From now on the destination sends by it too, also what waits already."
    noted = "mapping.written"
    subjects = Destination
    edits = False


class FilterPage(OrderedRulePage):
    form_class = FilterForm
    create, update = staticmethod(services.create_filter), staticmethod(services.update_filter)
    enable, move = staticmethod(services.set_filter_enabled), staticmethod(services.move_filter)
    permission = "tenants.change_destinationfilter"

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        form.fields["source"].queryset = self.sources()
        return form

    def content(self, values: dict[str, Any]) -> dict[str, Any]:
        named = ("name", "source", "condition", "action", "percent", "path")
        return {**{name: values[name] for name in named}, "fields": values["fields_"]}


class EditFilter(FilterPage):
    title = "Change the filter"
    effect = "It acts on whatever is sent from now on, also on what waits already. What it was is kept as a version."
    noted = "filter.edited"
    subjects = DestinationFilter

    def values_of(self, row: DestinationFilter) -> dict[str, Any]:
        content = {name: getattr(row, name) for name in ("name", "condition", "action", "percent", "path")}
        return {**content, "source": row.source_id, "fields_": row.fields}


class NewFilter(FilterPage):
    title = "New filter"
    effect = "It acts on whatever is sent from now on, also on what waits already."
    noted = "filter.written"
    subjects = Destination
    edits = False


class EditToggle(RulePage):
    form_class = ToggleForm
    permission = "tenants.change_sourcetoggle"
    title = "Change the toggle"
    effect = "What it names does not go to the destination from now on, also of what waits already."
    noted = "toggle.edited"
    subjects = SourceToggle

    def about(self) -> str:
        return f"{self.subject} from {self.subject.source.slug}, {super().about().partition(', ')[2]}"

    def values_of(self, row: SourceToggle) -> dict[str, Any]:
        return {"paths": row.paths}

    def act(self, values: dict[str, Any]) -> SourceToggle:
        self.begin(values)
        actor = actor_of(self.request)
        row = services.update_toggle(self.subject, paths=values["paths"], actor=actor)
        return services.set_toggle_enabled(row, values["is_enabled"], actor=actor)


class NewToggle(RulePage):
    form_class = NewToggleForm
    permission = "tenants.change_sourcetoggle"
    title = "New toggle"
    effect = "What it names does not go to the destination from now on, also of what waits already."
    noted = "toggle.written"
    subjects = Destination
    edits = False

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        form.fields["source"].queryset = self.sources()
        return form

    def act(self, values: dict[str, Any]) -> SourceToggle:
        named = {name: values[name] for name in ("call", "event_name", "paths", "is_enabled")}
        return services.create_toggle(values["source"], self.subject, actor=actor_of(self.request), **named)


def place_of(row: Model) -> int:
    """Where a rule stands among its destination's, from 0."""
    kind: Any = type(row)
    others = kind.objects.for_workspace(row.workspace_id).filter(destination_id=row.destination_id)  # type: ignore[attr-defined]
    return [*others.order_by("position", "id").values_list("pk", flat=True)].index(row.pk)


site.extra_pages += [
    ExtraPage("rules/mapping/<uuid:pk>/", view_of(EditMapping), "mapping_edit"),
    ExtraPage("rules/filter/<uuid:pk>/", view_of(EditFilter), "filter_edit"),
    ExtraPage("rules/toggle/<uuid:pk>/", view_of(EditToggle), "toggle_edit"),
    ExtraPage("rules/<uuid:pk>/new-mapping/", view_of(NewMapping), "mapping_new"),
    ExtraPage("rules/<uuid:pk>/new-filter/", view_of(NewFilter), "filter_new"),
    ExtraPage("rules/<uuid:pk>/new-toggle/", view_of(NewToggle), "toggle_new"),
]
