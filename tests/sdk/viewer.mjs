// A viewer on the official JavaScript client: prints every event as a line of JSON.
// usage: node viewer.mjs URL TOKEN [BROADCAST]; answers `token_asked` with the next line of stdin.
import { Centrifuge } from 'centrifuge';
import readline from 'node:readline';
import WebSocket from 'ws';

const [url, token, broadcast] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin }).on('close', () => process.exit(0));
const tokens = lines[Symbol.asyncIterator]();
const print = (event, context) => process.stdout.write(JSON.stringify({ event, ...context }) + '\n');

const client = new Centrifuge(url, {
  token,
  websocket: WebSocket,
  data: broadcast ? { broadcast } : null,
  minReconnectDelay: 20,
  maxReconnectDelay: 200,
  getToken: async () => {
    print('token_asked', {});
    return (await tokens.next()).value;
  },
});
for (const event of ['connecting', 'connected', 'disconnected', 'subscribed', 'unsubscribed', 'publication', 'error']) {
  client.on(event, (context) => {
    const { channel, code, reason, data, offset, recovered, wasRecovering, streamPosition } = context;
    print(event, { channel, code, reason, data, offset, recovered, wasRecovering, streamPosition });
  });
}
client.connect();
