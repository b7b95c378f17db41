"""Schemathesis hooks: each operation is asked under a role that may do it, often in a show that exists.

`ONAIR_TOKENS` is a JSON object of tokens by role; `ONAIR_IDS` one of ids by the first part of a path.
"""

import json
import os
import zlib

import schemathesis

TOKENS = json.loads(os.environ["ONAIR_TOKENS"])
IDS = json.loads(os.environ["ONAIR_IDS"])


@schemathesis.auth(refresh_interval=None)
class ByRole:
    """The token of the first role that the operation is for."""

    def get(self, case, context):
        roles = context.operation.definition.raw.get("x-roles") or ["host"]
        return next((TOKENS[role] for role in roles if role in TOKENS), TOKENS["host"])

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every other path names what is there; which ones follows from what was drawn. No hook of a
    seller's is of anybody outside."""
    parts = case.operation.path.split("/")
    known = IDS.get(parts[2]) if len(parts) > 2 else None
    named = case.path_parameters or {}
    if known and "id" in named and zlib.crc32(str(named["id"]).encode()) % 2:
        case.path_parameters["id"] = known
    if isinstance(case.body, dict) and str(case.body.get("url", "")).startswith("http"):
        case.body["url"] = "https://shop.invalid/hook"
