"""Why an event goes to a destination or does not: every gate in order, with what it said and which condition failed.

The gates are asked by the very call that delivery makes; what is added here is only words. Rules are those of the plan,
so of an event that was decided earlier this is what would be decided now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from hub.expressions import fql
from hub.expressions.errors import ExpressionError
from hub.expressions.explaining import Failure
from hub.expressions.explaining import explain as failures_of
from hub.expressions.filters import read_node
from hub.expressions.nodes import Node
from hub.expressions.sentences import describe
from hub.routing import decide
from hub.routing.compiling import ALL
from hub.routing.decide import Plan
from hub.routing.properties import removed
from hub.routing.rules import Check, Gate, Message, Step, Trail, Verdict, code_of

NOT_SUBSCRIBED = "not_subscribed"
SENTENCES = {
    **decide.REASONS,
    NOT_SUBSCRIBED: "Source and destination were not both on when the event was accepted, so it is not for this one.",
}
ALWAYS_ASKED: tuple[Gate, ...] = ("subscribed", "still_on", "erased", "integrations")


@dataclass(frozen=True, slots=True)
class Told:
    """One gate: what it said, the condition in words, what of the condition failed, and what was taken out."""

    gate: Gate
    verdict: Verdict
    reason: str = ""
    rule_id: UUID | None = None
    name: str = ""
    condition: str = ""
    sentence: str = ""
    failed: tuple[Failure, ...] = ()
    removed: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: whether the event goes, why not, and the gates in the order in which they are asked."""

    goes: bool
    reason: str
    gates: tuple[Told, ...]

    @property
    def sentence(self) -> str:
        """The reason in words, empty for an event that goes."""
        return SENTENCES.get(code_of(self.reason), "")

    @property
    def removed(self) -> tuple[str, ...]:
        """The paths of everything that the mappings do not see."""
        return tuple(path for told in self.gates for path in told.removed)

    def as_json(self) -> dict[str, object]:
        """The same for scripts; mappings stand beside the gates."""
        told = [{**asdict(each), "rule_id": each.rule_id and str(each.rule_id)} for each in self.gates]
        return {
            "goes": self.goes,
            "reason": self.reason,
            "sentence": self.sentence,
            "gates": [each for each in told if each["gate"] != "trigger"],
            "mappings": [each for each in told if each["gate"] == "trigger"],
            "removed": list(self.removed),
        }


def explain(plan: Plan, message: Message | None, source_id: UUID, position: tuple[int, int]) -> Explanation:
    """Ask every gate about an event; without a message it is one whose content is gone."""
    trail: Trail = []
    reason = _before_content(plan, message, source_id, position, trail)
    if not reason and message is not None:
        reason = decide.decide(plan, message, source_id, trail).reason
    asked = {step.gate for step in trail}
    rest = [Told(gate, "not_reached") for gate in ALWAYS_ASKED if gate not in asked]
    gates = [_told(step) for step in trail]
    return Explanation(not reason, reason, (*gates, *rest, *_not_asked(plan, source_id, trail)))


def _before_content(
    plan: Plan, message: Message | None, source_id: UUID, position: tuple[int, int], trail: Trail
) -> str:
    """The gates that need nothing of the event but where it stands."""
    answers: tuple[tuple[Gate, Callable[[], str]], ...] = (
        ("subscribed", lambda: "" if decide.is_eligible(plan, source_id, position) else NOT_SUBSCRIBED),
        ("still_on", lambda: decide.refusal_now(plan, source_id)),
        ("erased", lambda: "" if message is not None else decide.ERASED),
    )
    for gate, answer in answers:
        reason = answer()
        trail.append(Step(gate, "stopped" if reason else "passed", reason))
        if reason:
            return reason
    return ""


def _not_asked(plan: Plan, source_id: UUID, trail: Trail) -> list[Told]:
    """Filters and mappings whose turn did not come."""
    asked = {step.rule_id for step in trail}
    checks: Sequence[Check] = plan.rules.filters.get(source_id, plan.rules.general) if plan.rules else ()
    filters = [_unasked(each.gate, each.rule_id, each.name, each.condition) for each in checks]
    mappings = [_unasked("trigger", route.mapping_id, route.name, route.trigger) for route in plan.routes]
    return [told for told in (*filters, *mappings) if told.rule_id not in asked]


def _unasked(gate: Gate, rule_id: UUID, name: str, condition: str) -> Told:
    return Told(gate, "not_reached", "", rule_id, name, condition, _sentence(gate, condition))


def _told(step: Step) -> Told:
    has_failed = step.verdict == ("stopped" if step.gate == "trigger" else "not_concerned")
    node = _node(step.gate, step.condition)
    return Told(
        gate=step.gate,
        verdict=step.verdict,
        reason=step.reason,
        rule_id=step.rule_id,
        name=step.name,
        condition=step.condition,
        sentence=_sentence(step.gate, step.condition),
        failed=failures_of(node, step.before) if has_failed and node is not None else (),
        removed=tuple(removed(step.before, step.after)),
        problem=step.problem,
    )


def _node(gate: Gate, text: str) -> Node | None:
    """The condition as a tree; None for none, for one that takes every event, and for one that cannot be read."""
    if not text or text.strip() == ALL:
        return None
    try:
        return read_node(text) if gate == "trigger" else fql.parse(text)
    except ExpressionError:
        return None


def _sentence(gate: Gate, text: str) -> str:
    node = _node(gate, text)
    return describe(node) if node is not None else ""
