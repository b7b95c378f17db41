// A real Chromium on a real server, and a network that can be cut between them.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

import { Shop } from './shop.mjs';

const CHROMIUM = process.env.ONAIR_TEST_CHROMIUM ?? '/usr/bin/chromium';
const WITHIN_MS = 20_000;
const DESKTOP = { width: 1200, height: 800 };
export const PHONE = { width: 360, height: 740 };

// Passes bytes on until it is cut; then nothing goes through until it is healed.
class Network {
  #sockets = new Set();
  #isCut = false;
  #refused = null;

  // Requests that it lets through to nobody, counted.
  refused = 0;

  static async between(url) {
    const network = new Network();
    const { hostname, port } = new URL(url);
    network.server = net.createServer((near) => network.#join(near, net.connect(Number(port), hostname)));
    await new Promise((done) => network.server.listen(0, '127.0.0.1', done));
    network.url = `http://127.0.0.1:${network.server.address().port}`;
    return network;
  }

  #join(near, far) {
    if (this.#isCut) {
      near.destroy();
      far.destroy();
      return;
    }
    near.on('data', (bytes) => {
      if (this.#refused === null || !this.#refused.test(bytes.toString('latin1'))) return;
      this.refused += 1;
      near.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      far.destroy();
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#sockets.add(one);
      one.on('error', () => {}).on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }

  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  // As a proxy of a hotel does: requests like this are answered by itself.
  refuse(pattern) {
    this.#refused = pattern;
  }

  heal() {
    this.#isCut = false;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

export class Stage {
  #complaints = [];

  static async open(url, secret) {
    const stage = new Stage();
    stage.shop = new Shop(url, secret);
    stage.network = await Network.between(url);
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    stage.browser = await chromium.launch({ executablePath: CHROMIUM, args });
    return stage;
  }

  async close() {
    await this.browser.close();
    this.network.close();
  }

  // A window of its own on the page, as `viewer` or as nobody.
  async watch(broadcast, { viewer = null, token, name, size = DESKTOP, locale = 'en-US', dark = false, query = '' } = {}) {
    const context = await this.browser.newContext({ viewport: size, locale, colorScheme: dark ? 'dark' : 'light' });
    if (process.env.ONAIR_TEST_PAGE_FILES) await serveFromDisk(context, process.env.ONAIR_TEST_PAGE_FILES);
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN_MS);
    page.on('pageerror', (error) => this.#complaints.push(`${error.stack}`));
    page.on('console', (message) => {
      // a refusal is an answer; the browser writes a line for each all the same
      const isAnswer = /Failed to load resource|WebSocket connection/.test(message.text());
      if (message.type() === 'error' && !isAnswer) this.#complaints.push(message.text());
    });
    const signed = token ?? (viewer === null ? null : this.shop.token('viewer', viewer, { name }));
    const fragment = signed === null ? '' : `#token=${signed}`;
    await page.goto(`${this.network.url}/watch/${broadcast}${query}${fragment}`);
    return page;
  }

  // What was refused so far was meant to be.
  forgive() {
    this.#complaints = [];
  }

  // Nothing that the policy refused, and no script that failed.
  assertQuiet() {
    assert.deepEqual(this.#complaints, []);
  }
}

async function serveFromDisk(context, folder) {
  await context.route('**/watch/assets/*/**', async (route) => {
    const path = new URL(route.request().url()).pathname.split('/').slice(4).join('/');
    const type = path.endsWith('.css') ? 'text/css' : path.endsWith('.js') ? 'text/javascript' : 'image/svg+xml';
    try {
      await route.fulfill({ contentType: type, body: await readFile(`${folder}/${path}`) });
    } catch {
      await route.continue();
    }
  });
}

// Waits until an element has this text.
export async function reads(page, selector, words) {
  const locator = page.locator(selector);
  const deadline = Date.now() + WITHIN_MS;
  let text;
  do {
    text = (await locator.count()) === 1 ? (await locator.innerText()).trim() : `${await locator.count()} of them`;
    if (words instanceof RegExp ? words.test(text) : text === words) return text;
    await page.waitForTimeout(30);
  } while (Date.now() < deadline);
  throw new assert.AssertionError({ message: `${selector} does not read as expected`, actual: text, expected: words });
}

export const stockIs = (page, remaining, held, sold) => page
  .locator(`#stock[data-remaining="${remaining}"][data-held="${held}"][data-sold="${sold}"]`)
  .waitFor();

export const order = (status) => `#orders li[data-status="${status}"]`;

// How the simulated provider answers the next order.
export async function payWith(page, method) {
  await page.locator('#test-payments').evaluate((details) => { details.open = true; });
  await page.locator('#method').selectOption(method);
}

// Lets something happen on the server between the press and the arrival of the order there.
export async function beforeTheNextOrder(page, happen) {
  await page.route('**/v1/orders', async (route) => {
    await happen();
    await route.continue();
  }, { times: 1 });
}

// No rule of WCAG 2.2 A and AA that axe knows is broken.
export async function assertAccessible(page, where) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], where);
}
