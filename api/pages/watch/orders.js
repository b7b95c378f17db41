// The viewer's own orders: whatever arrives over the socket or HTTP, the higher version stays.

import { Problem, call } from './http.js';

const LISTED_MAX = 50;
const OPEN = new Set(['pending', 'reserved']);

export const isOpen = (order) => OPEN.has(order.status);

export class Orders {
  #orders = new Map();
  #broadcast;
  #session;
  #changed;

  constructor(broadcast, session, changed) {
    this.#broadcast = broadcast;
    this.#session = session;
    this.#changed = changed;
  }

  get list() {
    return [...this.#orders.values()].sort((a, b) => Date.parse(b.accepted_at) - Date.parse(a.accepted_at));
  }

  get(id) {
    return this.#orders.get(id);
  }

  clear() {
    this.#orders.clear();
    this.#changed();
  }

  // Takes an order in. `isNews` is false for what is only read again after the page was opened.
  take(order, isNews = true) {
    if (order.broadcast_id !== this.#broadcast) return;
    const known = this.#orders.get(order.id);
    if (known && known.version >= order.version) return;
    this.#orders.set(order.id, { ...order, receipt: order.receipt ?? known?.receipt ?? null });
    this.#changed(isNews && known?.status !== order.status ? order : null);
  }

  // What the server calls open now; an order that we still call open and it does not, is read.
  async reconcile(open) {
    for (const order of open) this.take(order, false);
    const named = new Set(open.map(({ id }) => id));
    const unsure = this.list.filter((order) => isOpen(order) && !named.has(order.id));
    await Promise.allSettled(unsure.map(({ id }) => this.read(id)));
  }

  // Orders of before this page was opened.
  async load() {
    const page = await call('GET', `/v1/orders?limit=${LISTED_MAX}`, { token: this.#session.token });
    for (const order of page.items) this.take(order, false);
  }

  async read(id) {
    const order = await call('GET', `/v1/orders/${id}`, { token: this.#session.token });
    this.take(order);
    return this.get(id);
  }

  // Calls an order off. One that was confirmed or has ended meanwhile is read again.
  async cancel(id) {
    try {
      this.take(await call('POST', `/v1/orders/${id}/cancel`, { token: this.#session.token }));
    } catch (problem) {
      if (problem instanceof Problem && problem.status === 409) await this.read(id);
      throw problem;
    }
  }

  // Pays an order that waits for it, or tries again after a soft decline, inside the hold.
  async pay(id, method) {
    const path = `/v1/orders/${id}/payment`;
    this.take(await call('POST', path, { token: this.#session.token, body: { method } }));
  }
}
