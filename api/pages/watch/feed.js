// The socket: asks the server how to connect, stays connected, and hands on what comes.

import { Problem, call, pause } from './http.js';

const { Centrifuge } = globalThis;

const JOIN_PAUSE_MS_MIN = 500;
const JOIN_PAUSE_MS_MAX = 8_000;
const RECONNECT_MS_MIN = 300;
const RECONNECT_MS_MAX = 5_000;
// A connection that is refused again so soon is not begun anew.
const ANEW_AFTER_MS = 10_000;

const CODE = {
  unauthorized: 1, permission: 103, invalidToken: 3500, forced: 3503, connectionLimit: 3504, permissionDenied: 3507,
};

// `handlers`: status(name), channels(), live(state), patch(patch), orders(open), own(message),
// chatBegins(recovered, state), chat(message), signedOut()
export class Feed {
  #broadcast;
  #session;
  #handlers;
  #client = null;
  #turn = 0;
  #lastAnew = -Infinity;
  #channels = new Set();

  constructor(broadcast, session, handlers) {
    this.#broadcast = broadcast;
    this.#session = session;
    this.#handlers = handlers;
  }

  // Begins, or begins again with another token.
  async start() {
    this.#turn += 1;
    const turn = this.#turn;
    this.#client?.disconnect();
    this.#client = null;
    this.#channels.clear();
    const joined = await this.#join(turn);
    if (joined && turn === this.#turn) this.#connect(joined, turn);
  }

  // One call over the socket; a refusal is a result, a protocol error throws.
  async rpc(method, data) {
    if (this.#client === null) throw new Error('not connected');
    return (await this.#client.rpc(method, data)).data;
  }

  has(kind) {
    return this.#channels.has(`${kind}:${this.#broadcast}`);
  }

  async #join(turn) {
    let wait = JOIN_PAUSE_MS_MIN;
    while (turn === this.#turn) {
      try {
        const { token } = this.#session;
        return await call('POST', `/v1/broadcasts/${encodeURIComponent(this.#broadcast)}/join`, { token });
      } catch (problem) {
        if (problem instanceof Problem && problem.status === 401 && this.#session.signedIn) {
          this.#handlers.signedOut();
        } else if (problem instanceof Problem && problem.status < 500 && problem.status !== 429) {
          this.#handlers.status(this.#session.signedIn ? 'not_your_show' : 'no_such_show');
          return null;
        } else {
          this.#handlers.status('unreachable');
          await pause(Math.max(problem.retryAfterMs ?? 0, wait) * (1 + Math.random() / 2));
          wait = Math.min(wait * 2, JOIN_PAUSE_MS_MAX);
        }
      }
    }
    return null;
  }

  #connect({ url, token }, turn) {
    const { transports, emulationEndpoint } = ways(url);
    const client = new Centrifuge(transports, {
      token,
      emulationEndpoint,
      data: { broadcast: this.#broadcast },
      minReconnectDelay: RECONNECT_MS_MIN,
      maxReconnectDelay: RECONNECT_MS_MAX,
      // only the shop gives out tokens: one that has run out ends the connection, and it is begun anew
      getToken: () => Promise.reject(new Centrifuge.UnauthorizedError('')),
    });
    this.#client = client;
    const heard = (event, handle) => client.on(event, (context) => turn === this.#turn && handle(context));
    heard('connected', () => this.#handlers.status('connected'));
    heard('connecting', ({ code }) => code !== 0 && this.#handlers.status('reconnecting'));
    heard('disconnected', ({ code }) => this.#ended(code));
    heard('subscribed', (context) => this.#subscribed(context));
    heard('unsubscribed', ({ channel }) => this.#left(channel));
    heard('publication', ({ channel, data }) => this.#publication(channel, data));
    client.connect();
  }

  #subscribed({ channel, data, recovered }) {
    this.#channels.add(channel);
    if (channel.startsWith('live:')) {
      if (data) this.#handlers.live(data);
    } else if (channel.startsWith('chat:')) {
      this.#handlers.chatBegins(recovered, data);
    } else if (data?.orders) {
      this.#handlers.orders(data.orders);
    }
    this.#handlers.channels();
  }

  #left(channel) {
    this.#channels.delete(channel);
    this.#handlers.channels();
  }

  #publication(channel, data) {
    if (channel.startsWith('live:')) this.#handlers.patch(data);
    else if (channel.startsWith('chat:')) this.#handlers.chat(data);
    else this.#handlers.own(data);
  }

  #ended(code) {
    const isOver = code === CODE.unauthorized || code === CODE.invalidToken;
    if (isOver && performance.now() - this.#lastAnew > ANEW_AFTER_MS) {
      this.#lastAnew = performance.now();
      if (this.#session.signedIn) this.#handlers.signedOut();
      else this.start();
      return;
    }
    // who may not watch at all was told so by `join`: from here on it is a ban
    const isRemoved = [CODE.permission, CODE.forced, CODE.permissionDenied].includes(code);
    const isTooMany = code === CODE.connectionLimit;
    this.#handlers.status(isRemoved ? 'removed_from_show' : isTooMany ? 'too_many_windows' : 'disconnected');
  }
}

// The ways to the server, the best first: some networks let no WebSocket through. Server-sent events are the last
// because their first commands, the token among them, stand in a query.
function ways(url) {
  const socket = socketAddress(url);
  const beside = (path) => {
    const address = new URL(path, socket);
    address.protocol = address.protocol === 'wss:' ? 'https:' : 'http:';
    return address.href;
  };
  return {
    transports: [
      { transport: 'websocket', endpoint: socket },
      { transport: 'http_stream', endpoint: beside('http_stream') },
      { transport: 'sse', endpoint: beside('sse') },
    ],
    emulationEndpoint: beside('../emulation'),
  };
}

// Behind a proxy that ends TLS the server may not know that this page was loaded over it.
function socketAddress(url) {
  const address = new URL(url, location.href);
  if (address.host === location.host) address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return address.href;
}
