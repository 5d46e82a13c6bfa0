"""The fields of Braze's actions, with the places of an event where their values usually are."""

from __future__ import annotations

from connectors import fields
from connectors.base import Field

ALIAS = (
    Field("alias_name", "Alias", required=True, category="identifier"),
    Field("alias_label", "Label", required=True, category="identifier"),
)
WHO = (
    Field("external_id", "External id", default=fields.USER_ID, category="identifier", maximum=512),
    Field("user_alias", "Alias", "object", properties=ALIAS, additional=False, category="identifier"),
    Field("email", "E-mail", default=fields.EMAIL, category="pii", format="email"),
    Field("phone", "Phone", default=fields.PHONE, category="pii", maximum=50),
    Field("braze_id", "Braze id", category="identifier", maximum=100),
    Field("update_existing_only", "Update existing people only", "boolean"),
)


def _trait(key: str, label: str, trait: str = "", kind: str = "string", form: str = "") -> Field:
    default = fields.of_person(trait or key)
    return Field(key, label, kind, default=default, category="pii", format=form)  # type: ignore[arg-type]


PROFILE = (
    _trait("first_name", "First name"),
    _trait("last_name", "Last name"),
    _trait("gender", "Gender"),
    _trait("dob", "Date of birth", "birthday", form="date"),
    Field(
        "country", "Country", description="Two letters.", default=fields.of_person("address.country"), category="pii"
    ),
    Field("language", "Language", description="Two letters.", maximum=20),
    _trait("home_city", "City", "address.city"),
    Field("time_zone", "Time zone", default={"@path": "$.context.timezone"}, maximum=60),
    Field("image_url", "Picture", default=fields.of_person("avatar"), maximum=2_000),
    Field(
        "email_subscribe",
        "E-mail subscription",
        choices=(("opted_in", "Opted in"), ("subscribed", "Subscribed"), ("unsubscribed", "Unsubscribed")),
    ),
    Field(
        "push_subscribe",
        "Push subscription",
        choices=(("opted_in", "Opted in"), ("subscribed", "Subscribed"), ("unsubscribed", "Unsubscribed")),
    ),
    Field("subscription_groups", "Subscription groups", "object", multiple=True),
    Field("custom_attributes", "Custom attributes", "object", default=fields.TRAITS),
    Field("merge_objects", "Merge nested attributes", "boolean", "Else a nested attribute is replaced as a whole."),
)
EVENT = (
    Field("name", "Event", required=True, default=fields.EVENT, maximum=255),
    Field("time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
    Field("properties", "Properties", "object", default=fields.PROPERTIES),
)
PURCHASE = (
    Field("time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
    Field("currency", "Currency", default={"@path": "$.properties.currency"}, required=True, pattern="[A-Za-z]{3}"),
    Field(
        "products",
        "Products",
        "object",
        required=True,
        multiple=True,
        properties=(
            Field("product_id", "Product", required=True, maximum=255),
            Field("price", "Price", "number", required=True),
            Field("quantity", "Quantity", "integer", minimum=1, maximum=100),
            Field("currency", "Currency", pattern="[A-Za-z]{3}"),
        ),
        default={
            "@arrayPath": [
                "$.properties.products",
                {
                    "product_id": {
                        "@if": {
                            "exists": {"@path": "$.product_id"},
                            "then": {"@path": "$.product_id"},
                            "else": {"@path": "$.sku"},
                        }
                    },
                    "price": {"@path": "$.price"},
                    "quantity": {"@path": "$.quantity"},
                },
            ]
        },
    ),
    Field("properties", "Properties of each", "object"),
)
NEW_ALIAS = (
    Field("external_id", "External id", required=True, default=fields.USER_ID, category="identifier"),
    Field("alias_name", "Alias", required=True, default=fields.ANONYMOUS_ID, category="identifier"),
    Field("alias_label", "Label", required=True, default="anonymous_id"),
)
IDENTIFY = (
    Field("external_id", "External id", required=True, default=fields.USER_ID, category="identifier"),
    Field(
        "user_alias",
        "Alias",
        "object",
        required=True,
        properties=ALIAS,
        additional=False,
        default={"alias_name": fields.ANONYMOUS_ID, "alias_label": "anonymous_id"},
    ),
)
MERGE = (
    Field("external_id", "The person who stays", required=True, default=fields.USER_ID, category="identifier"),
    Field(
        "previous_id", "The person who goes", required=True, default={"@path": "$.previousId"}, category="identifier"
    ),
)
SUBSCRIPTION = (
    WHO[0],
    Field("email", "E-mail", category="pii", format="email"),
    Field("phone", "Phone", category="pii", format="e164"),
    Field("subscription_group_id", "Subscription group", required=True, default={"@path": "$.groupId"}),
    Field(
        "subscription_state",
        "State",
        required=True,
        default="subscribed",
        choices=(("subscribed", "Subscribed"), ("unsubscribed", "Unsubscribed")),
    ),
)
CAMPAIGN = (
    Field("campaign_id", "Campaign", required=True, maximum=100),
    Field("properties", "Trigger properties", "object", default=fields.PROPERTIES),
    Field("send_id", "Send id", maximum=64),
)
CANVAS = (
    Field("canvas_id", "Canvas", required=True, maximum=100),
    Field("properties", "Entry properties", "object", default=fields.PROPERTIES),
)
CATALOG_ITEM = (
    Field("catalog", "Catalog", required=True, maximum=250),
    Field("item_id", "Item", required=True, default={"@path": "$.properties.product_id"}, maximum=250),
    Field("values", "Values", "object", default=fields.PROPERTIES),
)
