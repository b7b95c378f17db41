// A shop that uses onair over HTTP: the host, and buyers beside the one in the browser.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';

const HOST_TRIES = 60;
const POLL_MS = 100;
const ENDS_WITHIN_MS = 60_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Shop {
  constructor(url, secret) {
    this.url = url;
    this.secret = secret;
  }

  token(role, sub, { ttl = 3600, seller = 'acme', name } = {}) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { sub, name, role, seller, aud: 'onair', exp: Math.floor(Date.now() / 1000) + ttl };
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
    return `${text}.${createHmac('sha256', this.secret).update(text).digest('base64url')}`;
  }

  async call(method, path, { token, key, body } = {}) {
    const headers = { Authorization: `Bearer ${token}` };
    if (key) headers['Idempotency-Key'] = key;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }

  // A host's call under one key; asked again while the answer is 503, as a client does.
  async host(path, body = {}) {
    const [token, key] = [this.token('host', 'host-1'), randomUUID()];
    for (let tries = 0; tries < HOST_TRIES; tries += 1) {
      const answer = await this.call('POST', path, { token, key, body });
      if (answer.status !== 503) {
        assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer)}`);
        return answer.body;
      }
      await pause(POLL_MS);
    }
    throw new Error(`${path} keeps answering 503`);
  }

  async broadcast({ title = 'Friday show', currency = 'KRW', start = true } = {}) {
    const { id } = await this.host('/v1/broadcasts', { title, currency });
    if (start) await this.host(`/v1/broadcasts/${id}/start`);
    return id;
  }

  async spotlight(broadcast, units, extra = {}) {
    const skus = Object.entries(units).map(([sku, limited_quantity]) => ({ sku, name: sku, limited_quantity }));
    const { id } = await this.host(`/v1/broadcasts/${broadcast}/products/spotlight`, {
      product: { id: 'lamp', name: 'Ceramic lamp', original_price: { minor: 39_900, currency: 'KRW' } },
      live_price: { minor: 19_900, currency: 'KRW' },
      skus,
      ...extra,
    });
    return id;
  }

  act(spotlight, action, body = {}) {
    return this.host(`/v1/spotlights/${spotlight}/${action}`, body);
  }

  // Another viewer's order.
  async order(viewer, spotlight, { sku = 'ivory', quantity = 1, method = 'sim_ok', version = 1 } = {}) {
    const body = { spotlight_id: spotlight, offer_version: version, lines: [{ sku, quantity }], payment_method: method };
    const answer = await this.call('POST', '/v1/orders', { token: this.token('viewer', viewer), key: randomUUID(), body });
    assert.equal(answer.status, 202, JSON.stringify(answer));
    return answer.body.id;
  }

  async orders(viewer, spotlight) {
    const token = this.token('viewer', viewer);
    const { body } = await this.call('GET', `/v1/orders?spotlight_id=${spotlight}`, { token });
    return body.items;
  }

  // The viewer's only order, once it has ended.
  async onlyOrder(viewer, spotlight) {
    for (const until = Date.now() + ENDS_WITHIN_MS; Date.now() < until; await pause(POLL_MS)) {
      const orders = await this.orders(viewer, spotlight);
      assert.ok(orders.length <= 1, `${orders.length} orders of ${viewer}`);
      if (orders.length === 1 && !['pending', 'reserved'].includes(orders[0].status)) return orders[0];
    }
    throw new Error(`${viewer}'s order does not end`);
  }

  async inventory(spotlight, sku = 'ivory') {
    const { body } = await this.call('GET', `/v1/spotlights/${spotlight}`, { token: this.token('host', 'host-1') });
    return body.inventory[sku];
  }
}
