"""What Google Cloud's services share: the key of a service account, and what the errors of their APIs mean."""

from __future__ import annotations

from collections.abc import Mapping

from connectors import answers, auth
from connectors.base import Field
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, Scope, Verdict, interpret

SERVICE_ACCOUNT = Field(
    "service_account",
    "Service account",
    "text",
    "Its JSON key: paste the whole file.",
    required=True,
    secret=True,
    maximum=8_000,
    format="service-account",
)
PROJECT = Field(
    "project_id",
    "Project",
    description="Its id.",
    required=True,
    pattern=r"([a-z0-9.-]{1,100}:)?[a-z][a-z0-9-]{4,61}[a-z0-9]",
)


def scheme(scope: str) -> auth.AuthScheme:
    """Sign in as a service account, for this scope of Google's."""
    return auth.service_account(auth.ServiceAccount(scopes=(f"https://www.googleapis.com/auth/{scope}",)))


# What errors mean

THROTTLED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Google asks to send more slowly.")
QUOTA = answers.verdict(Outcome.THROTTLED, "quota_exceeded", "The project's quota is used up for now.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The service account may not do this; see to its roles.")
NOT_FOUND = answers.verdict(Outcome.DISABLED, "not_found", "There is no such thing in this project.")
BILLING = answers.verdict(Outcome.DISABLED, "billing", "The project's bill has to be settled.")
SWITCHED_OFF = answers.verdict(Outcome.DISABLED, "api_disabled", "The API is not switched on in this project.")
TROUBLE = answers.verdict(Outcome.RETRY, "server_error", "Google has trouble of its own.")
NOT_READY = answers.verdict(
    Outcome.RETRY, "failed_precondition", "Google cannot do this in the present state of things.", Scope.DESTINATION
)

REASONS = {
    **dict.fromkeys(
        ("rateLimitExceeded", "userRateLimitExceeded", "tableUnavailable", "RATE_LIMIT_EXCEEDED"), THROTTLED
    ),
    **dict.fromkeys(("quotaExceeded", "dailyLimitExceeded", "RESOURCE_QUOTA_EXCEEDED"), QUOTA),
    **dict.fromkeys(("backendError", "internalError", "timeout", "jobBackendError", "jobInternalError"), TROUBLE),
    **dict.fromkeys(
        ("accessDenied", "forbidden", "insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), FORBIDDEN
    ),
    **dict.fromkeys(("billingNotEnabled", "billingTierLimitExceeded", "accountDisabled"), BILLING),
    **dict.fromkeys(("UserProjectAccountProblem", "BILLING_DISABLED"), BILLING),
    **dict.fromkeys(("accessNotConfigured", "SERVICE_DISABLED"), SWITCHED_OFF),
    "notFound": NOT_FOUND,
}
CODES = {
    **dict.fromkeys(("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL", "UNKNOWN", "CANCELLED"), TROUBLE),
    "RESOURCE_EXHAUSTED": THROTTLED,
    "PERMISSION_DENIED": FORBIDDEN,
    "NOT_FOUND": NOT_FOUND,
    "FAILED_PRECONDITION": NOT_READY,
}
# Without a reason it is not the API that speaks, or it has nothing there.
STATUSES = {403: FORBIDDEN, 404: NOT_FOUND, 405: NOT_FOUND}


def reasons_of(response: Response) -> list[str]:
    """Give the reasons that an answer names, in the older form of Google's errors and the newer."""
    error = answers.member(answers.parsed(response), "error")
    listed = [*answers.members(error, "details"), *answers.members(error, "errors")]
    return [reason for one in listed if (reason := answers.words(one.get("reason")))]


def said_in(response: Response) -> str:
    """Give what Google says."""
    return answers.words(answers.member(answers.parsed(response), "error", "message"))


def verdict_of(response: Response) -> Verdict | None:
    """Find what an error means: by its reason, its code, its status; None where the common table knows best."""
    error = answers.member(answers.parsed(response), "error")
    code = answers.words(answers.member(error, "status"))
    named = (REASONS[reason] for reason in reasons_of(response) if reason in REASONS)
    return next(named, None) or CODES.get(code) or STATUSES.get(response.status)


def failure(request: RequestSpec, response: Response, own: Mapping[str, Verdict] | None = None) -> list[ItemOutcome]:
    """Judge an answer that is no success; `own` are the service's own reasons."""
    if response.error is not None:
        return interpret(request, response)
    mine = next((own[reason] for reason in reasons_of(response) if reason in own), None) if own else None
    found, said = mine or verdict_of(response), said_in(response)
    is_theirs = response.status >= 500 or response.status == 429
    if found is None or (is_theirs and found.outcome not in (Outcome.RETRY, Outcome.THROTTLED)):
        return answers.with_words(request, response, said)
    return answers.for_all(request, response, found, said)


def permitted(request: RequestSpec, response: Response, permission: str) -> list[ItemOutcome]:
    """Read which permissions an account has of those that it was asked about."""
    held = answers.member(answers.parsed(response), "permissions")
    if isinstance(held, list) and permission in held:
        return answers.delivered(request, response)
    return answers.for_all(request, response, FORBIDDEN, f"{permission} is missing")
