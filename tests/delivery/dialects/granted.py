"""A vendor whose credentials have to be worked for, in each of the ways that there are."""

from __future__ import annotations

from collections.abc import Sequence

from connectors import answers, auth, fields
from connectors.auth import AwsSignature, OAuth2, ServiceAccount
from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Found,
    Identifiers,
    Payload,
    Preset,
    ResolveStep,
    Settings,
)
from connectors.http import ItemOutcome, RequestSpec, Response

BASE_URLS = {"": "https://granted.example.test"}
FIELDS = (
    Field("n", "Number", "integer", default={"@path": "$.properties.n"}),
    Field("user", "User", default={"@path": "$.userId"}),
)
CODE = OAuth2(
    token_url="{auth_url}/token",
    authorize_url="{auth_url}/authorize",
    revoke_url="{auth_url}/revoke",
    scopes=("events.write", "offline"),
    refresh_margin_s=60,
    authorize_parameters={"prompt": "consent"},
    keeps=("instance",),
)
SCHEMES = (
    auth.oauth2_code(CODE),
    auth.oauth2_client_credentials(OAuth2(token_url="{auth_url}/token", client_auth="basic", keeps=("instance",))),
    auth.service_account(ServiceAccount(("events.write",)), "account"),
    auth.aws_sigv4(AwsSignature("events", sts_url="{auth_url}/sts")),
)


def prepare(settings: Settings) -> str:
    return fields.api_url(BASE_URLS, settings) + str(settings.get("instance") or "")


def build(payloads: Sequence[Payload], url: str, context: BuildContext) -> list[RequestSpec]:
    return [RequestSpec("POST", f"{url}/events", (), list(payloads), "json", tuple(range(len(payloads))))]


def open_door(payloads: Sequence[Payload], url: str, context: BuildContext) -> list[RequestSpec]:
    return [RequestSpec("POST", f"{url}/open", (), dict(payloads[0]), "json", uses_grant=False)]


def ask(payloads: Sequence[Payload], found: Found, url: str, context: BuildContext) -> RequestSpec:
    return RequestSpec("GET", f"{url}/known", endpoint_label="known")


def read(request: RequestSpec, response: Response) -> object | ItemOutcome:
    return True if response.status == 200 else None


def erase(people: Sequence[Identifiers], url: str, context: BuildContext) -> list[RequestSpec]:
    return [RequestSpec("POST", f"{url}/erase", (), [one.user_id for one in people], "json", tuple(range(len(people))))]


def interpret(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    return answers.with_words(request, response, answers.words(answers.member(answers.parsed(response), "message")))


def preset(action: str) -> Preset:
    return Preset(action, action, ALL_CALLS, {one.key: one.default for one in FIELDS})


connector = Connector(
    slug="granted",
    name="Granted",
    version="1.0.0",
    category="generic",
    status="hidden",
    description="For tests.",
    docs_url="https://granted.example.test",
    settings=(
        fields.API_URL,
        Field("auth", "Sign in", choices=tuple((one.scheme, one.label) for one in SCHEMES), default="oauth2_code"),
        Field("auth_url", "Where tokens come from", clears_secrets=True),
        Field("client_id", "Client"),
        fields.secret("client_secret", "Client secret", required=False),
        fields.secret("account", "Service account", required=False),
        Field("access_key_id", "Access key"),
        fields.secret("secret_access_key", "Secret key", required=False),
        Field("region", "Region", default="eu-central-1"),
        Field("role_arn", "Role"),
        Field("external_id", "External id"),
        Field("instance", "Told with the token", pattern=r"/[a-z]+", clears_secrets=True, is_hidden=True),
    ),
    actions=(
        Action("send", "Send", "One by one.", ALL_CALLS, FIELDS, build),
        Action("many", "Many", "Ten at once.", ALL_CALLS, FIELDS, build, BatchRule(10, 0)),
        Action("look", "Look", "After asking.", ALL_CALLS, FIELDS, build, resolve=(ResolveStep("known", ask, read),)),
        Action("open", "Open", "Without credentials.", ALL_CALLS, FIELDS, open_door),
    ),
    presets=(preset("send"),),
    prepare=prepare,
    test=lambda url, context: RequestSpec("GET", f"{url}/me"),
    delete=Deletion(10, erase),
    auth=SCHEMES,
    interpret=interpret,
    base_urls=BASE_URLS,
)
