"""Schemathesis hooks: each operation is asked under a role that may do it, often in a show that exists.

`ONAIR_TOKENS` is a JSON object of tokens by role; `ONAIR_IDS` one of ids by the first part of a path.
`ONAIR_WALKED` names a file: then the links are walked with bodies that a shop would send, and it gets a
line for each call on what an earlier answer made, with its status.
"""

import json
import os
import uuid
import zlib

import schemathesis

TOKENS = json.loads(os.environ["ONAIR_TOKENS"])
IDS = json.loads(os.environ["ONAIR_IDS"])
WALKED = os.environ.get("ONAIR_WALKED")
# what a shop sends, and what of a link's body it keeps: the rest was drawn
SENT = {
    "createBroadcast": {"title": "Friday", "currency": "KRW"},
    "cancelOrder": {"reason": "walked"},
    "changeOffer": {"live_price": {"minor": 9900, "currency": "KRW"}, "reason": "walked"},
    "refundOrder": {"reason": "walked"},
    "createWebhookEndpoint": {"url": "https://shop.invalid/hook", "events": ["*"]},
}
KEPT = {
    "createSpotlight": ["live_price", "skus"],
    "placeOrder": ["spotlight_id", "offer_version", "lines"],
    "joinWaitlist": ["lines"],
    "withdrawOffer": ["offer_version", "settle", "reason"],
    "adjustStock": ["sku", "delta", "reason"],
    "payOrder": ["method"],
}
# what answers have named: whoever goes on from there is let alone
ANSWERED = set()


@schemathesis.auth(refresh_interval=None)
class ByRole:
    """The token of the first role that the operation is for."""

    def get(self, case, context):
        roles = context.operation.definition.raw.get("x-roles") or ["host"]
        return next((TOKENS[role] for role in roles if role in TOKENS), TOKENS["host"])

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


def is_linked(case):
    named = (case.path_parameters or {}).get("id")
    sold = case.body.get("spotlight_id") if isinstance(case.body, dict) else None
    return str(named or sold) in ANSWERED


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every other path names what is there; which ones follows from what was drawn. No hook of a
    seller's is of anybody outside."""
    if WALKED:
        return as_a_shop(case)
    parts = case.operation.path.split("/")
    known = IDS.get(parts[2]) if len(parts) > 2 else None
    named = case.path_parameters or {}
    if known and "id" in named and not is_linked(case) and zlib.crc32(str(named["id"]).encode()) % 2:
        case.path_parameters["id"] = known
    if isinstance(case.body, dict) and str(case.body.get("url", "")).startswith("http"):
        case.body["url"] = "https://shop.invalid/hook"


def begin(case, operation, drawn):
    """What begins a walk is done with the show that is there, which nobody ends."""
    if operation in ("startBroadcast", "endBroadcast"):
        return
    known = IDS.get(case.operation.path.split("/")[2])
    if known and "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = known
    offered = [{"sku": "lamp", "quantity": 1}]
    price = {"minor": 19900, "currency": "KRW"}
    drawn.update(
        {
            "createSpotlight": {"live_price": price, "skus": [{"sku": "lamp", "limited_quantity": 5}]},
            "placeOrder": {"spotlight_id": IDS["spotlights"], "offer_version": 1, "lines": offered},
            "joinWaitlist": {"lines": offered},
        }.get(operation, {})
    )


def as_a_shop(case):
    operation = case.operation.definition.raw["operationId"]
    if case.method in ("POST", "DELETE", "PUT"):
        case.headers = {**(case.headers or {}), "Idempotency-Key": str(uuid.uuid4())}
    drawn = dict(case.body) if isinstance(case.body, dict) else {}
    if not is_linked(case):
        begin(case, operation, drawn)
    if case.method == "POST":
        case.media_type = "application/json"
        case.body = SENT.get(operation) or {name: drawn[name] for name in KEPT.get(operation, []) if name in drawn}
    if operation == "createSpotlight":
        price = drawn["live_price"]
        case.body["product"] = {"id": "p-1", "name": "Lamp", "original_price": price}
    case.query = {}


@schemathesis.hook
def after_call(context, case, response):
    """Remembers what was made, and writes down what was done with it."""
    if WALKED and is_linked(case):
        operation = case.operation.definition.raw["operationId"]
        with open(WALKED, "a", encoding="utf-8") as walked:
            walked.write(f"{operation} {response.status_code}\n")
    if response.status_code in (201, 202):
        answer = response.json()
        if isinstance(answer, dict) and "id" in answer:
            ANSWERED.add(str(answer["id"]))
