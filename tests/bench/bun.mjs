// The reference of `onair bench fanout`: uWebSockets, in Bun. What a publisher sends goes to everybody.
import { renameSync, writeFileSync } from "node:fs";

const ready = process.argv[process.argv.indexOf("--ready-file") + 1];

const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
        const publishes = new URL(request.url).pathname === "/publish";
        return server.upgrade(request, { data: { publishes } }) ? undefined : new Response(null, { status: 426 });
    },
    websocket: {
        perMessageDeflate: false,
        open(socket) {
            if (!socket.data.publishes) socket.subscribe("room");
        },
        message(socket, message) {
            if (socket.data.publishes) server.publish("room", message);
        },
    },
});

writeFileSync(`${ready}.draft`, JSON.stringify({ listen: `127.0.0.1:${server.port}` }));
renameSync(`${ready}.draft`, ready);
