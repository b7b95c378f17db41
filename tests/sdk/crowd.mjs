// Viewers on the official JavaScript client, many in one process: prints every event as a line of JSON.
// usage: node crowd.mjs; each line of stdin, `{viewer, url, token, broadcast}`, is one more viewer
import { Centrifuge } from 'centrifuge';
import readline from 'node:readline';
import WebSocket from 'ws';

// A browser gives each message a task of its own. `ws` may give several in one turn, and then the
// client, whose dispatch of a message is a chain of promises, mixes the replies of two messages.
class BrowserSocket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { allowSynchronousEvents: false });
  }
}

function watch({ viewer, url, token, broadcast }) {
  const client = new Centrifuge(url, {
    token,
    websocket: BrowserSocket,
    data: { broadcast },
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
  });
  for (const event of ['subscribed', 'publication', 'disconnected']) {
    client.on(event, ({ channel, data, offset, recovered, wasRecovering, streamPosition }) => {
      const seen = { viewer, event, channel, data, offset, recovered, wasRecovering, streamPosition };
      process.stdout.write(JSON.stringify(seen) + '\n');
    });
  }
  client.connect();
}

const lines = readline.createInterface({ input: process.stdin }).on('close', () => process.exit(0));
for await (const line of lines) watch(JSON.parse(line));
