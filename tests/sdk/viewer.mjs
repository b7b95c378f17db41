// A viewer on the official JavaScript client: prints every event as a line of JSON.
// usage: node viewer.mjs URL TOKEN [BROADCAST [KIND]]; answers `token_asked` with the next line of
// stdin; a line `{"method", "data"}` is a call, whose outcome is printed as `result`. KIND is
// `protobuf` for the client's Protobuf build.
import readline from 'node:readline';
import WebSocket from 'ws';

const [url, token, broadcast, kind] = process.argv.slice(2);
const isProtobuf = kind === 'protobuf';
const { Centrifuge } = await import(isProtobuf ? 'centrifuge/build/protobuf' : 'centrifuge');
const encoded = (data) => (isProtobuf && data ? new TextEncoder().encode(JSON.stringify(data)) : data);
const decoded = (data) => {
  if (!(data instanceof Uint8Array)) return data;
  return data.length ? JSON.parse(new TextDecoder().decode(data)) : null;
};
// the Protobuf build gives 64-bit numbers as objects
const number = (value) => value?.toNumber?.() ?? value;
const print = (event, context) => process.stdout.write(JSON.stringify({ event, ...context }) + '\n');

const tokens = [];
let askers = [];
const client = new Centrifuge(url, {
  token,
  websocket: WebSocket,
  data: encoded(broadcast ? { broadcast } : null),
  minReconnectDelay: 20,
  maxReconnectDelay: 200,
  getToken: () => {
    print('token_asked', {});
    return new Promise((resolve) => (tokens.length ? resolve(tokens.shift()) : askers.push(resolve)));
  },
});
const lines = readline.createInterface({ input: process.stdin }).on('close', () => process.exit(0));
lines.on('line', (line) => {
  if (line.startsWith('{')) {
    const { method, data } = JSON.parse(line);
    client.rpc(method, encoded(data)).then(
      (result) => print('result', { data: decoded(result.data) }),
      (error) => print('result', { code: error.code, message: error.message }),
    );
  } else if (askers.length) {
    askers.shift()(line);
  } else {
    tokens.push(line);
  }
});
for (const event of ['connecting', 'connected', 'disconnected', 'subscribed', 'unsubscribed', 'publication', 'error']) {
  client.on(event, (context) => {
    const { channel, code, reason, recovered, wasRecovering, streamPosition } = context;
    const offset = number(context.offset);
    const data = decoded(context.data);
    print(event, { channel, code, reason, data, offset, recovered, wasRecovering, streamPosition });
  });
}
client.connect();
