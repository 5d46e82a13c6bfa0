"""Google Ads' uploads: what each conversion consists of, lists as jobs, and errors that point at single ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors import answers, places
from connectors.base import BuildContext, Found, Payload
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import moment_of

BASE_URLS = {"api": "https://googleads.googleapis.com"}
# The version of the API that these requests are written for; Google ends one after about a year.
VERSION = "v23"
MOST_CONVERSIONS, MOST_MEMBERS = 2_000, 10_000
DAYS, DAYS_OF_CALLS = 90, 63
CONSENT = ("ad_user_data", "ad_personalization")
Built = RequestSpec | ItemOutcome
Make = Callable[[int, Payload], "ads.JsonObject | ItemOutcome"]


@dataclass(frozen=True, slots=True)
class Customer:
    """One ad account."""

    url: str
    number: str
    headers: Headers
    action: str = ""


def when(value: object) -> str:
    """Write a moment as Google Ads does: `2026-03-01 12:00:00+00:00`."""
    moment = moment_of(value)
    return "" if moment is None else moment.isoformat(sep=" ", timespec="seconds")


def consent(payload: Payload) -> ads.JsonObject:
    """Say what the person has agreed to, where that is known."""
    told = ads.present(payload, {"ad_user_data": "adUserData", "ad_personalization": "adPersonalization"})
    return {"consent": told} if told else {}


MEMBER_ADDRESS = {"first_name": "hashedFirstName", "last_name": "hashedLastName", "postal_code": "postalCode"}
# What Google takes in adjustments of conversions alone.
WHOLE_ADDRESS = {**MEMBER_ADDRESS, "street": "hashedStreetAddress", "city": "city", "state": "state"}


def identifiers(payload: Payload, address: Mapping[str, str] = MEMBER_ADDRESS) -> list[ads.JsonObject]:
    """Name a person by digests; an address counts only when it is whole."""
    found: list[ads.JsonObject] = []
    if payload.get("email"):
        found.append({"hashedEmail": payload["email"]})
    if payload.get("phone"):
        found.append({"hashedPhoneNumber": payload["phone"]})
    country = places.country_code(str(payload.get("country") or ""))
    if country and all(payload.get(key) for key in MEMBER_ADDRESS):
        found.append({"addressInfo": {**ads.present(payload, address), "countryCode": country.upper()}})
    return found


def _upload(payloads: Sequence[Payload], customer: Customer, method: str, array: str, make: Make) -> list[Built]:
    def checked(index: int, payload: Payload) -> ads.JsonObject | ItemOutcome:
        if not payload.get("conversion_action") and not customer.action:
            return refuse(index, "no_action", "Neither the mapping nor the destination names a conversion action.")
        return make(index, payload)

    gathered = gather(payloads, checked)
    built: list[Built] = [*gathered.decided]
    if gathered.entries:
        body = {array: gathered.entries, "partialFailure": True}
        url = f"{customer.url}:{method}"
        built.append(
            RequestSpec("POST", url, customer.headers, body, "json", gathered.covers, 60.0, endpoint_label=method)
        )
    return built


def _action(payload: Payload, customer: Customer) -> ads.JsonObject:
    number = payload.get("conversion_action") or customer.action
    return {"conversionAction": f"customers/{customer.number}/conversionActions/{number}"}


def _money(payload: Payload, value: str, currency: str) -> ads.JsonObject:
    told = ads.present(payload, {"value": value})
    return {**told, currency: str(payload["currency"]).upper()} if "currency" in payload else told


def _too_old(index: int, payload: Payload, key: str, days: int, context: BuildContext) -> ItemOutcome | None:
    return ads.age_problem(index, payload[key], context.now, days, "Google") or ads.currency_problem(
        index, payload.get("currency"), "Google"
    )


def build_clicks(payloads: Sequence[Payload], customer: Customer, context: BuildContext) -> list[Built]:
    """Upload click conversions."""

    def make(index: int, payload: Payload) -> ads.JsonObject | ItemOutcome:
        click = next(({key: payload[key]} for key in ("gclid", "gbraid", "wbraid") if payload.get(key)), {})
        people = identifiers(payload)
        if not click and not people:
            return refuse(index, "no_identifier", "A conversion needs a click id, an e-mail or a phone.")
        problem = _too_old(index, payload, "happened_at", DAYS, context)
        if problem is not None:
            return problem
        conversion: ads.JsonObject = {**_action(payload, customer), "conversionDateTime": when(payload["happened_at"])}
        conversion |= {**click, **_money(payload, "conversionValue", "currencyCode"), **consent(payload)}
        conversion |= ads.present(
            payload, {"order_id": "orderId", "environment": "conversionEnvironment", "ip": "userIpAddress"}
        )
        if people:
            conversion["userIdentifiers"] = people
        cart = _cart(payload)
        if cart:
            conversion["cartData"] = cart
        variables = payload.get("custom_variables")
        if isinstance(variables, Mapping) and variables:
            place = f"customers/{customer.number}/conversionCustomVariables"
            conversion["customVariables"] = [
                {"conversionCustomVariable": f"{place}/{key}", "value": str(value)} for key, value in variables.items()
            ]
        return conversion

    return _upload(payloads, customer, "uploadClickConversions", "conversions", make)


def _cart(payload: Payload) -> ads.JsonObject:
    items = [
        ads.present(one, {"product_id": "productId", "quantity": "quantity", "price": "unitPrice"})
        for one in answers.members(payload.get("items"))
    ]
    if not items or not payload.get("merchant_id"):
        return {}
    told = ads.present(
        payload, {"merchant_id": "merchantId", "feed_country": "feedCountryCode", "feed_language": "feedLanguageCode"}
    )
    return {**told, "items": items}


def build_enhancements(payloads: Sequence[Payload], customer: Customer, context: BuildContext) -> list[Built]:
    """Add people to orders that are known already."""

    def make(index: int, payload: Payload) -> ads.JsonObject | ItemOutcome:
        people = identifiers(payload, WHOLE_ADDRESS)
        if not people:
            return refuse(index, "no_identifier", "An enhancement needs an e-mail, a phone or a whole address.")
        adjustment: ads.JsonObject = {
            **_action(payload, customer),
            "adjustmentType": "ENHANCEMENT",
            "orderId": payload["order_id"],
            "adjustmentDateTime": when(payload["happened_at"]),
            "userIdentifiers": people,
        }
        return adjustment | ads.present(payload, {"user_agent": "userAgent"})

    return _upload(payloads, customer, "uploadConversionAdjustments", "conversionAdjustments", make)


def build_adjustments(payloads: Sequence[Payload], customer: Customer, context: BuildContext) -> list[Built]:
    """Restate or retract conversions, known by order or by click and time."""

    def make(index: int, payload: Payload) -> ads.JsonObject | ItemOutcome:
        adjustment: ads.JsonObject = {
            **_action(payload, customer),
            "adjustmentType": payload["adjustment"],
            "adjustmentDateTime": when(payload["happened_at"]),
        }
        if payload.get("order_id"):
            adjustment["orderId"] = payload["order_id"]
        elif payload.get("gclid") and payload.get("converted_at"):
            pair = {"gclid": payload["gclid"], "conversionDateTime": when(payload["converted_at"])}
            adjustment["gclidDateTimePair"] = pair
        else:
            return refuse(index, "no_conversion", "An adjustment needs an order, or a click id with its time.")
        if payload["adjustment"] == "RESTATEMENT":
            if "value" not in payload:
                return refuse(index, "no_value", "A restatement needs the new value.")
            adjustment["restatementValue"] = _money(payload, "adjustedValue", "currencyCode")
        return adjustment

    return _upload(payloads, customer, "uploadConversionAdjustments", "conversionAdjustments", make)


def build_calls(payloads: Sequence[Payload], customer: Customer, context: BuildContext) -> list[Built]:
    """Upload call conversions."""

    def make(index: int, payload: Payload) -> ads.JsonObject | ItemOutcome:
        problem = _too_old(index, payload, "called_at", DAYS_OF_CALLS, context)
        if problem is not None:
            return problem
        return {
            **_action(payload, customer),
            "callerId": payload["caller"],
            "callStartDateTime": when(payload["called_at"]),
            "conversionDateTime": when(payload["happened_at"]),
            **_money(payload, "conversionValue", "currencyCode"),
            **consent(payload),
        }

    return _upload(payloads, customer, "uploadCallConversions", "conversions", make)


def create_job(payloads: Sequence[Payload], found: Found, customer: Customer, context: BuildContext) -> RequestSpec:
    """Open a job for one list; its members share what they have agreed to."""
    first = payloads[0]
    metadata = {"userList": f"customers/{customer.number}/userLists/{first['list_id']}", **consent(first)}
    body = {"job": {"type": "CUSTOMER_MATCH_USER_LIST", "customerMatchUserListMetadata": metadata}}
    url = f"{customer.url}/offlineUserDataJobs:create"
    return RequestSpec("POST", url, customer.headers, body, "json", endpoint_label="offlineUserDataJobs/create")


def read_job_name(request: RequestSpec, response: Response) -> object:
    """Give the name of the job that was opened."""
    if not 200 <= response.status < 300:
        return interpret_answer(request, response)[0]
    return answers.words(answers.member(answers.parsed(response), "resourceName")) or None


def add_members(
    payloads: Sequence[Payload], found: Found, customer: Customer, context: BuildContext
) -> RequestSpec | None:
    """Hand the people over who can be named."""
    people = [identifiers(payload) for payload in payloads]
    if not found.get("job") or not any(people):
        return None
    operation = str(payloads[0].get("operation") or "create")
    operations = [{operation: {"userIdentifiers": named}} for named in people if named]
    body = {"operations": operations, "enablePartialFailure": True}
    url = f"{_base(customer)}/{found['job']}:addOperations"
    return RequestSpec("POST", url, customer.headers, body, "json", endpoint_label="offlineUserDataJobs/add")


def _base(customer: Customer) -> str:
    return customer.url.rpartition("/customers/")[0]


def read_members(request: RequestSpec, response: Response) -> object:
    """Give the people whom Google refuses by their places among those handed over, with its words."""
    if not 200 <= response.status < 300:
        return interpret_answer(request, response)[0]
    failure = answers.member(answers.parsed(response), "partialFailureError")
    refused = _places(failure, "operations", MOST_MEMBERS)
    return {str(place): found[1] if found is not None else "" for place, found in sorted(refused.items())}


def build_list(payloads: Sequence[Payload], customer: Customer, context: BuildContext) -> list[Built]:
    """Run the job that was filled."""
    built: list[Built] = []
    covers: list[int] = []
    found = context.found[0] if context.found else {}
    failed = answers.object_of(found.get("added"))
    place = -1
    for index, payload in enumerate(payloads):
        if not identifiers(payload):
            built.append(refuse(index, "no_identifier", "A member needs an e-mail, a phone or a whole address."))
            continue
        place += 1
        if str(place) in failed:
            said = answers.words(failed[str(place)])
            message = "Google does not take this person." + (f" ({said})" if said else "")
            built.append(refuse(index, "member_refused", message))
        elif not found.get("job"):
            built.append(refuse(index, "job_missing", "Google opened no job."))
        else:
            covers.append(index)
    if covers:
        url = f"{_base(customer)}/{found['job']}:run"
        built.append(
            RequestSpec(
                "POST", url, customer.headers, {}, "json", tuple(covers), endpoint_label="offlineUserDataJobs/run"
            )
        )
    return built


REFUSED = answers.verdict(Outcome.REJECTED, "conversion_refused", "Google does not take this conversion.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "The account's limit of operations is used up.")
FORBIDDEN = answers.verdict(
    Outcome.DISABLED, "forbidden", "Who has signed in, or the developer token, may not do this."
)
AGAIN = answers.verdict(Outcome.RETRY, "missing_item", "Google did not say which conversion it refuses.")
DUPLICATES = ("CLICK_CONVERSION_ALREADY_EXISTS", "CONVERSION_ALREADY_ENHANCED", "CONVERSION_ALREADY_RETRACTED")
TRANSIENT = ("TOO_RECENT_CONVERSION_ACTION", "CONVERSION_NOT_FOUND_YET", "TOO_RECENT_EVENT", "CONCURRENT_MODIFICATION")
LATER = answers.verdict(Outcome.RETRY, "too_recent", "Google asks for some hours more.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A success may hold a partial failure; what Google has already is as good as delivered."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and response.error is None:
        failure = answers.member(answer, "partialFailureError")
        if not isinstance(failure, Mapping) or failure.get("code") in (None, 0):
            return answers.delivered(request, response)
        array = "conversionAdjustments" if "Adjustments" in request.endpoint_label else "conversions"
        failed = _places(failure, array, len(request.covers))
        if not failed:
            return answers.for_all(request, response, AGAIN, answers.words(failure.get("message")))
        return answers.partial(
            request, response, {place: found for place, found in failed.items() if found is not None}
        )
    status, said = (answers.words(answers.member(answer, "error", key)) for key in ("status", "message"))
    if status in ("RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"):
        return answers.for_all(request, response, LIMITED, said)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _places(failure: object, array: str, count: int) -> dict[int, tuple[Verdict, str] | None]:
    """Find what errors point at; None says of a place that Google has it already."""
    found: dict[int, tuple[Verdict, str] | None] = {}
    for detail in answers.members(failure, "details"):
        for error in answers.members(detail, "errors"):
            codes = error.get("errorCode")
            code = next(iter(codes.values()), "") if isinstance(codes, Mapping) else ""
            for element in answers.members(error.get("location"), "fieldPathElements"):
                place = answers.index_of(element.get("index"), count)
                # Google writes it as the field is called in its protocol, conversion_adjustments.
                name = answers.words(element.get("fieldName")).replace("_", "").lower()
                if name != array.lower() or place is None:
                    continue
                verdict = LATER if code in TRANSIENT else REFUSED
                found[place] = (
                    None if code in DUPLICATES else (verdict, answers.words(error.get("message")) or str(code))
                )
    return found
