"""Viewers on the official Python client, many in one process: prints every event as a line of JSON.

usage: crowd.py; each line of stdin, `{viewer, url, token, broadcast}`, is one more viewer
"""

import asyncio
import json
import sys

from centrifuge import Client, ClientEventHandler


class Events(ClientEventHandler):
    def __init__(self, viewer):
        self.viewer = viewer

    def show(self, event, **members):
        print(json.dumps({"viewer": self.viewer, "event": event, **members}), flush=True)

    async def on_disconnected(self, ctx):
        self.show("disconnected")

    async def on_subscribed(self, ctx):
        at = ctx.stream_position
        self.show(
            "subscribed",
            channel=ctx.channel,
            recovered=ctx.recovered,
            wasRecovering=ctx.was_recovering,
            streamPosition=None if at is None else {"offset": at.offset, "epoch": at.epoch},
        )

    async def on_publication(self, ctx):
        self.show("publication", channel=ctx.channel, offset=ctx.pub.offset, data=ctx.pub.data)


async def main():
    loop = asyncio.get_running_loop()
    clients = []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wish = json.loads(line)
        client = Client(
            wish["url"],
            events=Events(wish["viewer"]),
            token=wish["token"],
            data={"broadcast": wish["broadcast"]},
            min_reconnect_delay=0.02,
            max_reconnect_delay=0.2,
            proxy=None,
        )
        clients.append(client)
        await client.connect()


asyncio.run(main())
