"""A viewer on the official Python client: prints every event as a line of JSON.

usage: viewer.py URL TOKEN [BROADCAST]; answers `token_asked` with the next line of stdin.
"""

import asyncio
import json
import sys

from centrifuge import Client, ClientEventHandler


def show(event, **members):
    print(json.dumps({"event": event, **members}), flush=True)


def position(context):
    at = context.stream_position
    return None if at is None else {"offset": at.offset, "epoch": at.epoch}


class Events(ClientEventHandler):
    async def on_connecting(self, ctx):
        show("connecting", code=ctx.code, reason=ctx.reason)

    async def on_connected(self, ctx):
        show("connected")

    async def on_disconnected(self, ctx):
        show("disconnected", code=ctx.code, reason=ctx.reason)

    async def on_error(self, ctx):
        show("error", code=ctx.code, reason=str(ctx.error))

    async def on_subscribed(self, ctx):
        show(
            "subscribed",
            channel=ctx.channel,
            recovered=ctx.recovered,
            wasRecovering=ctx.was_recovering,
            data=ctx.data,
            streamPosition=position(ctx),
        )

    async def on_unsubscribed(self, ctx):
        show("unsubscribed", channel=ctx.channel)

    async def on_publication(self, ctx):
        show("publication", channel=ctx.channel, offset=ctx.pub.offset, data=ctx.pub.data)


async def main():
    url, token, *broadcast = sys.argv[1:]
    tokens = asyncio.Queue()

    async def get_token():
        show("token_asked")
        return await tokens.get()

    client = Client(
        url,
        events=Events(),
        token=token,
        get_token=get_token,
        data={"broadcast": broadcast[0]} if broadcast else None,
        min_reconnect_delay=0.02,
        max_reconnect_delay=0.2,
        proxy=None,
    )
    await client.connect()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        tokens.put_nowait(line.strip())


asyncio.run(main())
