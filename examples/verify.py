#!/usr/bin/env python3
"""Checks what onair sealed with nothing but public keys: needs only `cryptography` from PyPI.

    onair replay export log.ndjson
    onair replay witness export witness.ndjson
    onair replay prove EVENT --json > proof.json
    python3 verify.py --key PUBLIC_KEY --witness witness.ndjson --log log.ndjson
    python3 verify.py --key PUBLIC_KEY --proof proof.json
    python3 verify.py --key PUBLIC_KEY --receipt receipt.json
    python3 verify.py --key PUBLIC_KEY --pack FOLDER    # of `onair replay export FOLDER --evidence …`

Exits with 0 where all of it holds, 1 where something does not (which is printed), 2 on usage.
"""

import argparse
import base64
import hashlib
import json
import os
import struct
import sys
import uuid
from datetime import datetime, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHAIN = b"onair chain v1\n"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Bad(Exception):
    """Something does not hold."""


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(leaf):
    return sha(b"\x00", leaf)


def node_hash(left, right):
    return sha(b"\x01", left, right)


def root_of(level):
    """The root of RFC 6962: an odd last node goes up as it is."""
    if not level:
        return sha()
    while len(level) > 1:
        above = [node_hash(a, b) for a, b in zip(level[::2], level[1::2])]
        level = above + level[len(above) * 2 :]
    return level[0]


def climbed(leaf, index, size, path):
    if not 0 <= index < size:
        raise Bad("the index is outside of the tree")
    steps, place, last = iter(path), index, size - 1
    try:
        while last > 0:
            if place % 2 == 1:
                leaf = node_hash(next(steps), leaf)
            elif place < last:
                leaf = node_hash(leaf, next(steps))
            place, last = place // 2, last // 2
    except StopIteration:
        raise Bad("the path is too short") from None
    if next(steps, None) is not None:
        raise Bad("the path is too long")
    return leaf


def is_consistent(old_size, old_root, new_size, new_root, path):
    """RFC 9162, 2.1.4.2."""
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    place, last, steps = old_size - 1, new_size - 1, list(path)
    while place % 2 == 1:
        place, last = place // 2, last // 2
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    of_old = of_new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place % 2 == 1 or place == last:
            of_old, of_new = node_hash(step, of_old), node_hash(step, of_new)
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            of_new = node_hash(of_new, step)
        place, last = place // 2, last // 2
    return last == 0 and of_old == old_root and of_new == new_root


def raw_member(line, name):
    """The text of a member as it stands in the line: a hash is over bytes, not over values."""
    decoder, at = json.JSONDecoder(), 1
    while True:
        key, at = decoder.raw_decode(line, at)
        begins = at + 1
        _, at = decoder.raw_decode(line, begins)
        if key == name:
            return line[begins:at].encode()
        if line[at] == "}":
            raise Bad(f"there is no {name}")
        at += 1


def row_hash(line):
    """The hash of an event, from its line of an ndjson export."""
    row = json.loads(line)

    def text(value):
        value = value if isinstance(value, bytes) else value.encode()
        return struct.pack(">I", len(value)) + value

    def stored(name):
        if f"{name}_base64" in row:
            return text(base64.b64decode(row[f"{name}_base64"]))
        return text(raw_member(line, name))

    at = datetime.fromisoformat(row["recorded_at"].replace("Z", "+00:00")) - EPOCH
    micros = (at.days * 86_400 + at.seconds) * 1_000_000 + at.microseconds
    return leaf_hash(
        b"onair row v1\n"
        + struct.pack(">QQ", row["position"], row["prev"])
        + uuid.UUID(row["event_id"]).bytes
        + text(row["aggregate_type"])
        + text(row["aggregate_id"])
        + struct.pack(">Q", row["sequence"])
        + uuid.UUID(row["stream_key"]).bytes
        + struct.pack(">q", micros)
        + text(row["event_type"])
        + text(row["event_version"])
        + stored("payload")
        + stored("metadata")
    )


def block_leaf(seal):
    numbers = struct.pack(">QQQ", seal["number"], seal["first"], seal["last"])
    return leaf_hash(
        b"onair block v1\n" + numbers + bytes.fromhex(seal["root"]) + bytes.fromhex(seal["chain"])
    )


def key_id(key):
    return hashlib.sha256(key).hexdigest()[:16]


def check_signature(keys, named, text, signature, what):
    key = keys.get(named)
    if key is None:
        raise Bad(f"{what} is signed by {named}, which is none of the given keys")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(signature), text)
    except (InvalidSignature, ValueError):
        raise Bad(f"the signature of {what} is not of this text") from None


def check_seal(keys, seal):
    at = datetime.fromisoformat(seal["sealed_at"].replace("Z", "+00:00"))
    time = at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    text = (
        f"onair checkpoint v1\nblocks {seal['number']}\n"
        f"positions {seal['first']} {seal['last']}\nroot {seal['root']}\n"
        f"chain {seal['chain']}\ntree {seal['tree']}\nat {time}\nkey {seal['key_id']}\n"
    )
    what = f"seal {seal['number']}"
    check_signature(keys, seal["key_id"], text.encode(), seal["signature"], what)


def check_witness(keys, path):
    """Every seal is signed and continues the one before."""
    seals = []
    with open(path, encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            seal = json.loads(line)
            before = seals[-1] if seals else None
            check_seal(keys, seal)
            if seal["number"] != len(seals) + 1:
                raise Bad(f"seal {seal['number']} stands where seal {len(seals) + 1} should")
            if seal["first"] != (before["last"] + 1 if before else 1):
                raise Bad(f"seal {seal['number']} does not begin where the one before ended")
            seals.append(seal)
            if root_of([block_leaf(it) for it in seals]) != bytes.fromhex(seal["tree"]):
                raise Bad(f"the tree of seal {seal['number']} is not over the seals before it")
    if not seals:
        raise Bad("the witness has no seal")
    print(f"{len(seals)} seals are signed, up to position {seals[-1]['last']}")
    return seals


def check_log(seals, path):
    """Every sealed position of an export is there and has the bytes that were sealed."""
    chain, block, last = sha(CHAIN), [], 0
    todo = iter(seals)
    seal = next(todo)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            position = json.loads(line)["position"]
            if position != last + 1:
                raise Bad(f"position {position} stands after position {last}")
            last = position
            if seal is None:
                continue
            row = row_hash(line.rstrip("\n"))
            block.append(row)
            chain = sha(CHAIN, chain, row)
            if position == seal["last"]:
                if root_of(block) != bytes.fromhex(seal["root"]):
                    where = f"positions {seal['first']} to {seal['last']}"
                    raise Bad(f"{where} are not what seal {seal['number']} was made of")
                if chain != bytes.fromhex(seal["chain"]):
                    raise Bad(f"the chain is not that of seal {seal['number']}")
                block, seal = [], next(todo, None)
    if seal is not None:
        raise Bad(f"the log ends at position {last}, seal {seal['number']} goes to {seal['last']}")
    print(f"{seals[-1]['last']} positions are what was sealed")
    if last > seals[-1]["last"]:
        print(f"UNPROVEN: positions {seals[-1]['last'] + 1} to {last} follow the last seal")


def check_proof(keys, path):
    with open(path, encoding="utf-8") as file:
        proof = json.load(file)
    if proof["proof"] == "onair consistency v1":
        first, second = proof["first"], proof["second"]
        check_seal(keys, first)
        check_seal(keys, second)
        old = (first["number"], bytes.fromhex(first["tree"]))
        new = (second["number"], bytes.fromhex(second["tree"]))
        if not is_consistent(*old, *new, [bytes.fromhex(it) for it in proof["path"]]):
            raise Bad(f"seal {second['number']} does not continue seal {first['number']}")
        print(f"seal {second['number']} continues seal {first['number']}")
        return
    block, last = proof["block"], proof["checkpoint"]
    check_seal(keys, block)
    check_seal(keys, last)
    path = [bytes.fromhex(it) for it in proof["row_path"]]
    row = row_hash(proof["row"])
    if climbed(row, proof["index"], proof["rows"], path) != bytes.fromhex(block["root"]):
        raise Bad("the event does not lead to the root of its seal")
    if block["first"] + proof["index"] != json.loads(proof["row"])["position"]:
        raise Bad("the event stands at another position")
    path = [bytes.fromhex(it) for it in proof["block_path"]]
    up = climbed(block_leaf(block), block["number"] - 1, last["number"], path)
    if up != bytes.fromhex(last["tree"]):
        raise Bad("the seal does not lead to the tree of the checkpoint")
    print(f"position {proof['position']} is in seal {block['number']}, as it stands in the proof")


def check_receipt(keys, path):
    with open(path, encoding="utf-8") as file:
        receipt = json.load(file)
    receipt = receipt.get("receipt", receipt)
    root = bytes.fromhex(receipt["root"])
    path = [bytes.fromhex(it) for it in receipt["path"]]
    leaf = leaf_hash(receipt["leaf"].encode())
    if climbed(leaf, receipt["index"], receipt["tree_size"], path) != root:
        raise Bad("the receipt's path does not lead to its root")
    text = b"onair receipt v1\n" + struct.pack(">Q", receipt["tree_size"]) + root
    check_signature(keys, receipt["key_id"], text, receipt["signature"], "the receipt")
    print(f"the receipt promises order {json.loads(receipt['leaf'])['order_id']}")


def check_manifest(keys, folder):
    """Every file of the pack is as it was signed, and no other is there."""
    with open(os.path.join(folder, "manifest.json"), "rb") as file:
        text = file.read()
    with open(os.path.join(folder, "manifest.sig"), encoding="ascii") as file:
        signature = file.read().strip()
    manifest = json.loads(text)
    named = key_id(bytes.fromhex(manifest["public_key"]))
    check_signature(keys, named, b"onair evidence v1\n" + text, signature, "the manifest")
    there = set(os.listdir(folder)) - {"manifest.json", "manifest.sig"}
    if there != set(manifest["files"]):
        raise Bad(f"the files are not those of the manifest: {sorted(there ^ set(manifest['files']))}")
    for name, digest in manifest["files"].items():
        with open(os.path.join(folder, name), "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != digest:
                raise Bad(f"{name} is not what was signed")
    print(f"{len(there)} files are what was signed")


def check_pack(keys, folder):
    """Every event of the pack has the bytes that were sealed."""
    check_manifest(keys, folder)
    seals = check_witness(keys, os.path.join(folder, "witness.ndjson"))
    blocks = {}
    with open(os.path.join(folder, "blocks.ndjson"), encoding="utf-8") as lines:
        for block in map(json.loads, lines):
            seal = seals[block["number"] - 1]
            rows = [bytes.fromhex(row) for row in block["rows"]]
            if root_of(rows) != bytes.fromhex(seal["root"]):
                raise Bad(f"the rows of seal {seal['number']} do not lead to its root")
            blocks[seal["number"]] = rows
    proven = unproven = 0
    with open(os.path.join(folder, "events.ndjson"), encoding="utf-8") as lines:
        for line in lines:
            position = json.loads(line)["position"]
            seal = next((it for it in seals if it["first"] <= position <= it["last"]), None)
            if seal is None:
                unproven += 1
                continue
            rows = blocks[seal["number"]]
            if rows[position - seal["first"]] != row_hash(line.rstrip("\n")):
                raise Bad(f"position {position} is not what was sealed")
            proven += 1
    print(f"{proven} events are what was sealed")
    if unproven:
        print(f"UNPROVEN: {unproven} events follow the last seal")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--key", action="append", required=True, help="a public key, in hex")
    arguments.add_argument("--witness", help="a file of `onair replay witness export`")
    arguments.add_argument("--log", help="a file of `onair replay export`; needs --witness")
    arguments.add_argument("--proof", help="a file of `onair replay prove --json`")
    arguments.add_argument("--receipt", help="a receipt, or an order with its receipt")
    arguments.add_argument("--pack", help="a folder of `onair replay export FOLDER --evidence …`")
    given = arguments.parse_args()
    if not (given.witness or given.proof or given.receipt or given.pack) or (given.log and not given.witness):
        arguments.error("name a witness (with a log, perhaps), a proof, a receipt or a pack")
    try:
        keys = {key_id(key): key for key in map(bytes.fromhex, given.key)}
        if given.witness:
            seals = check_witness(keys, given.witness)
            if given.log:
                check_log(seals, given.log)
        if given.proof:
            check_proof(keys, given.proof)
        if given.receipt:
            check_receipt(keys, given.receipt)
        if given.pack:
            check_pack(keys, given.pack)
    except Bad as bad:
        print(f"BAD: {bad}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        print(f"BAD: the file is damaged: {error!r}")
        return 1
    print("GOOD")
    return 0


if __name__ == "__main__":
    sys.exit(main())
