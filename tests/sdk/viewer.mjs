// A viewer on the official JavaScript client: prints every event as a line of JSON.
// usage: node viewer.mjs URL TOKEN [BROADCAST [KIND]]; answers `token_asked` with the next line of
// stdin; a line `{"method", "data"}` is a call, whose outcome is printed as `result`. KIND is
// `protobuf` for the client's Protobuf build, `sse` or `http_stream` for those transports; then URL may
// name a second node after `|`, which is given the commands.
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

// as much of a browser's EventSource as the client needs; Node has none
class EventSource {
  constructor(url) {
    this.abort = new AbortController();
    this.read(url).catch((error) => this.onerror?.(error));
  }
  async read(url) {
    const response = await fetch(url, { signal: this.abort.signal });
    if (!response.ok) throw new Error(response.status);
    this.onopen?.();
    let rest = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + chunk).split('\n\n');
      rest = events.pop();
      for (const event of events) {
        const data = event.split('\n').map((line) => line.replace(/^data: /, '')).join('\n');
        this.onmessage?.({ data });
      }
    }
    throw new Error('the stream ended');
  }
  close() {
    this.abort.abort();
  }
}

const [near, far] = url.split('|').map((node) => node.replace('ws', 'http').replace('/connection/websocket', ''));
const isFallback = kind === 'sse' || kind === 'http_stream';
const endpoint = isFallback ? [{ transport: kind, endpoint: `${near}/connection/${kind}` }] : url;
const tokens = [];
let askers = [];
const client = new Centrifuge(endpoint, {
  token,
  emulationEndpoint: `${far ?? near}/emulation`,
  eventsource: EventSource,
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
