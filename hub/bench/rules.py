"""The rules that the benchmark of expressions measures, and those that it compares: every directive and operator, on
events that have what they ask for and on events that do not.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def path(name: str) -> Json:
    """The directive that reads a path."""
    return {"@path": f"$.{name}"}


EVENT: Json = {
    "type": "track",
    "event": "Order Completed",
    "userId": "user_1",
    "messageId": "m-1",
    "timestamp": "2026-03-01T12:00:00.000Z",
    "context": {"traits": {"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"}},
    "properties": {
        "order_id": "ORD-1",
        "total": 42.5,
        "currency": "EUR",
        "products": [
            {"product_id": "TEA-101", "name": "Sencha", "price": 8.9, "quantity": 2},
            {"product_id": "CUP-301", "name": "Mug", "price": 16.5, "quantity": 1},
        ],
    },
}
MAPPING: Json = {
    "id": path("userId"),
    "email": path("context.traits.email"),
    "name": {"@template": "{{context.traits.firstName}} {{context.traits.lastName}}"},
    "order": path("properties.order_id"),
    "value": path("properties.total"),
    "currency": {"@if": {"exists": path("properties.currency"), "then": path("properties.currency"), "else": "USD"}},
    "items": {
        "@arrayPath": [
            "$.properties.products",
            {"sku": path("product_id"), "price": path("price"), "count": path("quantity")},
        ]
    },
}
TRIGGER = (
    'type = "track" and event = "Order Completed" and properties.total > 10 and contains(properties.order_id, "ORD")'
)

EVENTS: list[Json] = [
    EVENT,
    {"type": "track", "event": "Order Completed", "properties": {"total": 5, "order_id": 7, "products": []}},
    {"type": "track", "event": "", "userId": None, "properties": {"total": "42", "currency": "", "products": None}},
    {"type": "identify", "userId": "user_2", "traits": {"email": "Bob@Example.com", "vip": True, "age": 0}},
    {"type": "page", "name": "Pricing", "properties": {"products": {"product_id": "A", "price": None}, "total": True}},
    {
        "type": "group",
        "context": None,
        "traits": [],
        "properties": {"order_id": "x ORD ü", "nested": {"a": [1, {"b": None}]}},
    },
    {"type": "screen", "name": "Home", "context": {"traits": 0}, "properties": {"products": ["text", 3, None, [1]]}},
    {"properties": {"total": 0.1, "order_id": "ORD", "json": '{"k": [1, 2.5, null]}', "nested": {"a": {"b": False}}}},
]
MAPPINGS: list[Json] = [
    MAPPING,
    {"all": path(""), "first": path("properties.products[0].name"), "deep": path("properties.nested.a.b")},
    {"text": {"@template": "{{ type }}/{{{properties.total}}}/{{properties.products}}/{{traits.vip}}/{{nothing}}"}},
    {"literal": {"@literal": {"x": path("type"), "y": [path("nothing"), 1, None, "z"]}}},
    {"blank": {"@if": {"blank": path("properties.currency"), "then": "given", "else": "none"}}},
    {"only": {"@if": {"exists": path("traits.vip"), "then": path("traits.age")}}},
    {"zero": {"@if": {"exists": path("nothing"), "then": 1, "else": 0}}},
    {"lower": {"@case": {"operator": "lower", "value": path("traits.email")}}},
    {"upper": {"@case": {"operator": "upper", "value": path("properties.order_id")}}},
    {"replaced": {"@replace": {"pattern": "ORD", "replacement": "no.", "value": path("properties.order_id")}}},
    {"once": {"@replace": {"pattern": "o", "value": path("event"), "ignorecase": True, "global": False}}},
    {"twice": {"@replace": {"pattern": ".", "pattern2": "4", "replacement2": "f", "value": path("properties.total")}}},
    {"listed": {"@arrayPath": ["$.properties.products"]}},
    {
        "shaped": {
            "@arrayPath": ["$.properties.products", {"id": path("product_id"), "label": {"@template": "{{name}}!"}}]
        }
    },
    {"right": {"@merge": {"objects": [{"a": 1, "b": 2}, path("traits"), {"a": path("type")}], "direction": "right"}}},
    {"left": {"@merge": {"objects": [{"a": 1}, path("properties"), {"a": 2, "c": 3}], "direction": "left"}}},
    {
        "moved": {
            "@transform": {"apply": {"p": path("properties")}, "mapping": {"t": path("p.total"), "u": path("type")}}
        }
    },
    {"flat": {"@flatten": {"value": path("properties"), "separator": "_"}}},
    {"flatter": {"@flatten": {"value": path("properties"), "separator": "/", "omitArrays": True}}},
    {"encoded": {"@json": {"mode": "encode", "value": path("properties.nested")}}},
    {"decoded": {"@json": {"mode": "decode", "value": path("properties.json")}}},
    {"dense": {"@excludeWhenNull": path("properties.products")}, "gone": {"@excludeWhenNull": path("userId")}},
    {
        "liquid": {
            "@liquid": "{{ properties.order_id | downcase }}-{{ type | append: '!' }}{% if traits.vip %}V{% endif %}"
        }
    },
    {"wrong": {"@case": {"operator": "sideways", "value": "x"}}},
]
FILTERS = [
    TRIGGER,
    'type = "identify" or type = "group"',
    'event = "Order Completed" and (properties.total >= 42.5 or properties.total < 1)',
    'event != "Order Completed" and userId != null',
    "properties.total = 5",
    "properties.total != 5",
    'properties.total = "42"',
    'properties.order_id != "ORD-1"',
    "properties.total = true",
    "traits.vip = true or traits.vip = false",
    "traits.age = null",
    "properties.currency != null",
    '!contains(properties.order_id, "ORD")',
    'match(properties.order_id, "ORD*")',
    'match(properties.order_id, "*ORD")',
    '!match(event, "Order*")',
    'match(name, "*ing")',
    "properties.nested.a.b = false",
    "traits.age = 0 or properties.nested = null",
    'userId = "user_2" and contains(traits.email, "@")',
    "event =",
    'unheard_of = "x"',
]
