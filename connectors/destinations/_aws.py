"""What Amazon's services share: an access key's settings, the JSON protocol, and what their error codes mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape

from connectors import answers, auth
from connectors.base import Field, Settings
from connectors.fields import API_URL, secret
from connectors.http import (
    MISSING_ITEM,
    SPLIT_REFUSED,
    ItemOutcome,
    Outcome,
    RequestSpec,
    Response,
    Scope,
    Verdict,
    interpret,
)

Read = Callable[[RequestSpec, Response], list[ItemOutcome]]

ACCESS_KEY = Field(
    "access_key_id", "Access key id", description="Of a user of IAM.", required=True, pattern=r"[A-Z0-9]{16,128}"
)
SECRET_KEY = secret("secret_access_key", "Secret access key", "Shown once, when the key is made.")
REGION = Field(
    "region",
    "Region",
    description="Such as eu-central-1. Changing it forgets the stored secret key.",
    required=True,
    pattern=r"[a-z]{2,4}(-[a-z]{2,20})+-\d{1,2}",
    clears_secrets=True,
    placeholder="eu-central-1",
)
ROLE = Field(
    "role_arn",
    "Role to assume",
    description="Its ARN, if the key is to act as a role, for instance in another account.",
    pattern=r"arn:[!-~]{10,2000}",
)
EXTERNAL_ID = Field(
    "external_id", "External id", description="Which the role's trust demands, if it does.", maximum=1_224
)
CREDENTIALS = (ACCESS_KEY, SECRET_KEY, REGION, ROLE, EXTERNAL_ID, API_URL)

XML_CODE = re.compile(rb"<Code>([A-Za-z0-9._]{1,100})</Code>")
XML_MESSAGE = re.compile(rb"<Message>([^<]{1,2000})</Message>")
# What a signature says that is right but for its time.
WRONG_TIME = ("signature expired", "not yet current")
# A key that may write and not look tells by this that it was known.
DENIED = frozenset(("AccessDenied", "AccessDeniedException"))
ONLY_WRITES = "only_writes"


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service of the JSON protocol is called, and how its operations are named."""

    url: str
    target: str
    version: str


def scheme(service: str) -> auth.AuthScheme:
    """Sign with an access key, for the service of this name."""
    return auth.aws_sigv4(auth.AwsSignature(service))


def base_urls(host: str) -> dict[str, str]:
    """Give a service's hosts, in the regions of each of Amazon's partitions."""
    suffixes = {"aws": "amazonaws.com", "china": "amazonaws.com.cn", "sovereign": "amazonaws.eu"}
    return {name: f"https://{host}.*.{suffix}" for name, suffix in suffixes.items()}


def suffix_of(region: str) -> str:
    """Give the domain in which a region's hosts are."""
    return {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}.get(region.partition("-")[0], "amazonaws.com")


def address(host: str, settings: Settings) -> str:
    """Give the address of a service in the chosen region, or the owner's own, without a slash at the end."""
    region = str(settings["region"])
    return (str(settings.get("api_url") or "") or f"https://{host}.{region}.{suffix_of(region)}").rstrip("/")


def call(
    service: Service, operation: str, body: Mapping[str, object], covers: tuple[int, ...] = (0,), label: str = ""
) -> RequestSpec:
    """Make a request of the JSON protocol."""
    headers = (
        ("content-type", f"application/x-amz-json-{service.version}"),
        ("x-amz-target", f"{service.target}.{operation}"),
    )
    return RequestSpec(
        "POST", f"{service.url}/", headers, body, "json", covers, timeout_s=30.0, endpoint_label=label or operation
    )


# What codes mean

THROTTLED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Amazon asks to send more slowly.")
EXPIRED = answers.verdict(Outcome.UNAUTHORIZED, "expired_token", "The keys that the role lent have expired.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "This access key may not do this; see to its permissions.")
BAD_KEY = answers.verdict(
    Outcome.DISABLED, "unauthorized", "Amazon does not know this access key, or its secret is wrong."
)
NOT_FOUND = answers.verdict(Outcome.DISABLED, "not_found", "There is no such thing in this region and account.")
WRONG_REGION = answers.verdict(Outcome.DISABLED, "wrong_region", "It is in another region; correct the settings.")
NOT_DIRECT = answers.verdict(
    Outcome.DISABLED, "not_direct_put", "This stream is fed by another source; take one whose source is Direct PUT."
)
KEY_UNUSABLE = answers.verdict(Outcome.DISABLED, "kms_key_unusable", "The key that encrypts it cannot be used.")
SKEWED = answers.verdict(
    Outcome.RETRY,
    "clock_skew",
    "Amazon finds this server's clock wrong; the operator must see to it.",
    Scope.DESTINATION,
)
TROUBLE = answers.verdict(Outcome.RETRY, "server_error", "Amazon has trouble of its own.")
TOO_LARGE = answers.verdict(Outcome.TOO_LARGE, "payload_too_large", "Amazon finds the request too large.")
REFUSED = answers.verdict(Outcome.REJECTED, "refused", "Amazon cannot take this event; check the mapping.")

CODES = {
    **dict.fromkeys(
        (
            *(
                "RequestLimitExceeded",
                "RequestThrottled",
                "RequestThrottledException",
                "SlowDown",
                "BandwidthLimitExceeded",
            ),
            *("LimitExceededException", "TooManyRequestsException", "ProvisionedThroughputExceededException"),
            *("ServiceUnavailable", "AWS.SimpleQueueService.OverLimit", "OverLimit"),
        ),
        THROTTLED,
    ),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), EXPIRED),
    **dict.fromkeys(
        (
            *(*DENIED, "AllAccessDisabled", "AccountProblem", "InvalidPayer", "NotSignedUp", "OptInRequired"),
            *("NotAuthorized", "InvalidAccountIdException", "InvalidSecurity", "UnauthorizedOperation"),
        ),
        FORBIDDEN,
    ),
    **dict.fromkeys(
        (
            *("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"),
            *("InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException", "InvalidToken"),
            *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure"),
        ),
        BAD_KEY,
    ),
    **dict.fromkeys(
        (
            *("NoSuchBucket", "ResourceNotFoundException", "ResourceNotFound", "QueueDoesNotExist"),
            *("AWS.SimpleQueueService.NonExistentQueue", "QueueDeletedRecently", "InvalidAddress"),
        ),
        NOT_FOUND,
    ),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"), WRONG_REGION
    ),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), SKEWED),
    # Firehose alone says these.
    "InvalidSourceException": NOT_DIRECT,
    "InvalidKMSResourceException": KEY_UNUSABLE,
    **dict.fromkeys(
        (
            *(
                "InternalFailure",
                "InternalError",
                "InternalException",
                "InternalServerError",
                "InternalFailureException",
            ),
            *("RequestTimeout", "RequestTimeoutException", "OperationAborted", "BadDigest", "IncompleteBody"),
            *("ServiceUnavailableException", "XAmzContentSHA256Mismatch", "ConditionalRequestConflict"),
            *("ConcurrentModificationException", "ResourceInUseException"),
        ),
        TROUBLE,
    ),
    **dict.fromkeys(
        (
            *("EntityTooLarge", "MaxMessageLengthExceeded", "BatchRequestTooLong", "RequestEntityTooLarge"),
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        TOO_LARGE,
    ),
    **dict.fromkeys(
        (
            *(
                "InvalidArgument",
                "MalformedDetail",
                "RedactionFailure",
                "InvalidMessageContents",
                "ValidationException",
            ),
            *("NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException", "InvalidParameterValue"),
            *("InvalidArgumentException", "SerializationException", "InvalidAttributeValue", "InvalidBatchEntryId"),
        ),
        REFUSED,
    ),
}

# Without a code it is not the service that speaks, or it has nothing there.
STATUSES = {403: FORBIDDEN, 404: NOT_FOUND, 405: NOT_FOUND}


def verdict_of(code: str, said: str = "") -> Verdict | None:
    """Find what a code means; None where nobody has written it down."""
    if any(words in said.lower() for words in WRONG_TIME):
        return SKEWED
    if code.startswith("Throttl"):
        return THROTTLED
    if code.lower().startswith("kms"):
        return THROTTLED if "throttl" in code.lower() else KEY_UNUSABLE
    return CODES.get(code)


def code_of(response: Response) -> tuple[str, str]:
    """Read code and words of an answer in JSON or XML; empty where it has none."""
    body = answers.parsed(response)
    kinds = (answers.member(body, key) for key in ("__type", "code", "Code"))
    told = next((kind for kind in kinds if isinstance(kind, str)), "") or response.header("x-amzn-errortype") or ""
    if told:
        said = answers.words(answers.member(body, "message")) or answers.words(answers.member(body, "Message"))
        return told.rpartition("#")[2].partition(":")[0], said
    code, message = XML_CODE.search(response.body), XML_MESSAGE.search(response.body)
    said = unescape(message.group(1).decode("utf-8", "replace")) if message else ""
    return code.group(1).decode() if code else "", said[: answers.LONGEST_WORDS]


def failure(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Judge an answer that is no success: by its code, else by the common table."""
    if response.error is not None:
        return interpret(request, response)
    code, said = code_of(response)
    if request.endpoint_label == "test" and response.status == 403 and code in DENIED:
        return answers.warned(answers.delivered(request, response), ONLY_WRITES)
    found = verdict_of(code, said) or STATUSES.get(response.status)
    is_theirs = response.status >= 500 or response.status == 429
    if found is None or (is_theirs and found.outcome not in (Outcome.RETRY, Outcome.THROTTLED)):
        return answers.with_words(request, response, said or code)
    return answers.for_all(request, response, _shared(found, len(request.covers)), said or code)


def _shared(found: Verdict, count: int) -> Verdict:
    """What is said of a request as a whole is nobody's fault yet while there are several in it."""
    if count > 1 and found.outcome is Outcome.REJECTED:
        return SPLIT_REFUSED
    if count == 1 and found.outcome is Outcome.TOO_LARGE:
        return answers.verdict(Outcome.REJECTED, found.reason, found.advice)
    return found


def reader(read: Read) -> Read:
    """Make a service's `interpret` of what reads its successes."""

    def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
        if response.error is not None or not 200 <= response.status < 300:
            return failure(request, response)
        return answers.delivered(request, response) if request.endpoint_label == "test" else read(request, response)

    return read_answer


def fault(code: object, words: object, unknown: Verdict = TROUBLE) -> tuple[Verdict, str]:
    """Say what became of one event of a call, by the code and the words that an entry of the answer has."""
    name, said = answers.words(code), answers.words(words)
    return verdict_of(name, said) or unknown, said or name


def each_in(place: str) -> Read:
    """Make what reads a list with an entry for each event, in their order, some with an `ErrorCode`."""

    def read(request: RequestSpec, response: Response) -> list[ItemOutcome]:
        listed = answers.member(answers.parsed(response), place)
        entries = listed if isinstance(listed, list) else []
        failed = {}
        for position in range(len(request.covers)):
            entry = entries[position] if position < len(entries) else None
            if not isinstance(entry, Mapping):
                failed[position] = (MISSING_ITEM, "")
            elif entry.get("ErrorCode"):
                failed[position] = fault(entry["ErrorCode"], entry.get("ErrorMessage"))
        return answers.partial(request, response, failed)

    return read
