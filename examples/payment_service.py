#!/usr/bin/env python3
"""A shop's own payment service for onair, by the protocol of docs/PAYMENTS.md, on nothing but Python.

    python3 payment_service.py --key SECRET [--port 9000] [--public http://127.0.0.1:9000]
                               [--webhook http://127.0.0.1:8080/v1/payments/http/webhook --webhook-secret whsec_…]

It charges nobody and forgets everything when it stops; a real one keeps what it answered in its
database, in the transaction of what it did. Methods: anything is paid, except `declined` (for good),
`insufficient_funds` (may be tried again) and `redirect` (the buyer has to open a page first).
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_MAX_BYTES = 64 * 1024


class Shop:
    """What is known of every payment and refund; one lock stands for a database transaction."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.payments = {}  # (order, attempt) -> {state, amount, method}
        self.refunds = {}  # (order, refund) -> amount
        self.public = None

    def ask(self, operation, ask):
        """The answer to one operation. A repeat finds what the first one did, and does nothing."""
        with self.lock:
            key = (ask["order_id"], ask["payment_attempt"])
            payment = self.payments.get(key)
            if operation == "refund":
                return self.refund(ask, payment)
            if payment is None:
                if operation == "query":
                    return {"outcome": "pending"}
                payment = {"state": "new", "amount": ask["amount"], "method": ask["method"]}
                self.payments[key] = payment
            return getattr(self, operation)(key, payment)

    def authorize(self, key, payment):
        if payment["state"] == "new":
            first = {"declined": "hard", "insufficient_funds": "soft", "redirect": "waits"}
            payment["state"] = first.get(payment["method"], "authorized")
        return self.query(key, payment)

    def capture(self, key, payment):
        if payment["state"] == "authorized":
            payment["state"] = "captured"
        if payment["state"] != "captured":
            return {"outcome": "capture_failed", "code": payment["state"]}
        return self.query(key, payment)

    def void(self, key, payment):
        if payment["state"] != "captured":
            payment["state"] = "voided"
        return self.query(key, payment)

    def refund(self, ask, payment):
        number = (ask["order_id"], ask["attempt"])
        if number not in self.refunds:
            before = sum(a["minor"] for (o, _), a in self.refunds.items() if o == number[0])
            left = payment["amount"]["minor"] - before if payment and payment["state"] == "captured" else 0
            if ask["amount"]["minor"] > left:
                return {"outcome": "refund_failed", "code": "more_than_paid"}
            self.refunds[number] = ask["amount"]
        return {"outcome": "refunded", "amount": self.refunds[number]}

    def query(self, key, payment):
        amount = payment["amount"]
        reference = "pay-" + "-".join(map(str, key))
        page = f"{self.public}/pages/{key[0]}/{key[1]}"
        return {
            "new": {"outcome": "pending"},
            "waits": {
                "outcome": "requires_action",
                "action": {"type": "redirect", "url": page},
                "reference": reference,
            },
            "authorized": {"outcome": "authorized", "amount": amount, "reference": reference},
            "captured": {"outcome": "captured", "amount": amount},
            "voided": {"outcome": "voided"},
            "hard": {"outcome": "declined", "kind": "hard", "code": "card_declined"},
            "soft": {"outcome": "declined", "kind": "soft", "code": "insufficient_funds"},
        }[payment["state"]]

    def acted(self, order, attempt):
        """The buyer was on the page: from now on the payment is set aside, and onair is told."""
        with self.lock:
            payment = self.payments.get((order, attempt))
            if payment is None or payment["state"] not in ("waits", "authorized"):
                return False
            payment["state"] = "authorized"
            result = self.query((order, attempt), payment)
        self.tell({"order_id": order, "attempt": attempt, "result": result})
        return True

    def tell(self, data):
        """One webhook, signed by Standard Webhooks. onair asks by itself where none arrives."""
        url, secret = self.options.webhook, self.options.webhook_secret
        if not url or not secret:
            return
        key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
        number, at = f"evt-{uuid.uuid4()}", str(int(time.time()))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = json.dumps({"type": "payment.result", "timestamp": stamp, "data": data}).encode()
        signed = hmac.new(key, f"{number}.{at}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "content-type": "application/json",
            "webhook-id": number,
            "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10).close()


class Handler(BaseHTTPRequestHandler):
    shop = None

    def do_POST(self):
        operation = self.path.strip("/")
        if not hmac.compare_digest(
            self.headers.get("authorization", ""), f"Bearer {self.shop.options.key}"
        ):
            return self.answer(401, {"error": "who are you?"})
        if operation not in ("authorize", "capture", "void", "refund", "query"):
            return self.answer(404, {"error": "no such operation"})
        length = int(self.headers.get("content-length", 0))
        if length > BODY_MAX_BYTES:
            return self.answer(413, {"error": "too large"})
        ask = json.loads(self.rfile.read(length))
        # the key names the operation: what is done under it is done once
        if self.headers["idempotency-key"] != f"{ask['order_id']}:{operation}:{ask['attempt']}":
            return self.answer(400, {"error": "the key is not of this operation"})
        return self.answer(200, {"result": self.shop.ask(operation, ask)})

    def do_GET(self):
        parts = self.path.strip("/").split("/")
        if len(parts) == 3 and parts[0] == "pages" and self.shop.acted(parts[1], int(parts[2])):
            return self.answer(200, {"paid": True})
        return self.answer(404, {"error": "no such page"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--key", required=True, help="what onair sends as a bearer token")
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one")
    parser.add_argument("--public", help="where buyers reach the pages")
    parser.add_argument("--webhook", help="onair's webhook of this provider")
    parser.add_argument("--webhook-secret", help="a line of ONAIR_PAYMENT_WEBHOOK_SECRETS_FILE")
    options = parser.parse_args()
    Handler.shop = Shop(options)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    Handler.shop.public = options.public or address
    print(address, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
