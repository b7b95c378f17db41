// Every refusal of a press, in plain words, as the real server gives it.
import assert from 'node:assert/strict';
import { beforeTheNextOrder, order, payWith, reads, stockIs } from '../stage.mjs';

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  await windows(stage, broadcast);
  await priceAndLimit(stage, await shop.broadcast());
  await trouble(stage, await shop.broadcast());
  await signIn(stage, await shop.broadcast());
}

async function windows(stage, broadcast) {
  const { shop } = stage;
  const later = new Date(Date.now() + 3600_000).toISOString();
  const spotlight = await shop.spotlight(broadcast, { ivory: 5 }, { opens_at: later });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await reads(page, '#buy', 'Not open yet');
  await reads(page, '#countdown', /^Opens in (1:00:00|59:\d\d)$/);
  await shop.act(spotlight, 'open');
  await reads(page, '#buy', 'Buy for ₩19,900');

  await beforeTheNextOrder(page, () => shop.act(spotlight, 'pause'));
  await page.locator('#buy').click();
  await reads(page, '#answer', 'The host has paused this offer. It may go on in a moment.');
  await reads(page, '#buy', 'Paused');
  await reads(page, '#countdown', 'Paused by the host');
  await shop.act(spotlight, 'resume');
  await reads(page, '#buy', 'Buy for ₩19,900');
  assert.equal(await page.locator('#answer').isVisible(), false, 'what no longer holds is not said');

  await beforeTheNextOrder(page, () => shop.act(spotlight, 'close'));
  await page.locator('#buy').click();
  await reads(page, '#answer', 'This offer is closed.');
  await reads(page, '#buy', 'Closed');
  assert.equal((await shop.orders('ana', spotlight)).length, 0);
}

async function priceAndLimit(stage, broadcast) {
  const { shop } = stage;
  const spotlight = await shop.spotlight(broadcast, { ivory: 5 }, { per_viewer_limit: 2 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await reads(page, '#limit', 'At most 2 per person');
  const price = { live_price: { minor: 17_900, currency: 'KRW' }, reason: 'half time' };
  await beforeTheNextOrder(page, () => shop.act(spotlight, 'offer', price));
  await page.locator('#buy').click();
  await reads(page, '#answer', /^The price has changed: it is ₩17,900 now\. Nothing was bought\./);
  await reads(page, '#buy', 'Buy for ₩17,900');
  assert.equal((await shop.orders('ana', spotlight)).length, 0);

  await page.locator('#more').click();
  await page.locator('#more').click();
  await reads(page, '#buy', 'Buy for ₩35,800');
  await payWith(page, 'sim_never');
  await page.locator('#buy').click();
  await page.locator(order('reserved')).waitFor();
  await page.locator('#buy').click();
  await reads(page, '#answer p', 'You may buy at most 2 of this offer, with what you have already.');
  await page.getByRole('link', { name: 'See your open order' }).click();
  const focused = await page.evaluate(() => document.activeElement.id);
  const [open] = await shop.orders('ana', spotlight);
  assert.equal(focused, `order-${open.id}`, 'the link leads to the open hold');
}

async function trouble(stage, broadcast) {
  const { shop } = stage;
  const spotlight = await shop.spotlight(broadcast, { ivory: 50 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await stockIs(page, 50, 0, 0);
  const keys = [];
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/v1/orders')) keys.push(request.headers()['idempotency-key']);
  });

  // the gate is being rebuilt, then the log does not answer, then the network loses the answer of an
  // order that was accepted
  const problem = (code, headers = {}) => (route) => route.fulfill({
    status: 503, contentType: 'application/problem+json', headers: { 'Retry-After': '1', ...headers },
    body: JSON.stringify({ code, status: 503, title: '', detail: '', trace_id: 't' }),
  });
  const answers = [
    problem('stock_unavailable'),
    problem('outcome_unknown'),
    async (route) => { await route.fetch(); await route.abort(); },
    (route) => route.continue(),
  ];
  await page.route('**/v1/orders', (route) => answers.shift()(route), { times: 4 });
  await page.locator('#buy').click();
  await reads(page, '#answer', 'The stock is not available for a moment. Nothing was taken; trying again.');
  await reads(page, '#buy', 'Placing your order…');
  await reads(page, '#answer', /^We do not know yet whether your order went through\./);
  await page.locator(order('confirmed')).waitFor();
  await reads(page, '#answer', 'Your order is in. You can follow it below.');
  assert.equal(new Set(keys).size, 1, `one press, one key: ${keys}`);
  assert.equal(keys.length, 4);
  await shop.onlyOrder('ana', spotlight);
  await stockIs(page, 49, 0, 1);

  // too many presses: the page is given the server's own answer to one press too many
  const burst = Array.from({ length: 40 }, () => fetch(`${shop.url}/v1/orders`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${shop.token('viewer', 'ana')}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': 'burst',
    },
    body: '{}',
  }));
  const refused = (await Promise.all(burst)).find(({ status }) => status === 429);
  assert.ok(refused, 'a viewer may press without limit');
  const [headers, body] = [Object.fromEntries(refused.headers), await refused.text()];
  await page.route('**/v1/orders', (route) => route.fulfill({ status: 429, headers, body }), { times: 1 });
  await page.locator('#buy').click();
  await reads(page, '#answer', /^Too many presses\. You can try again in \d+ seconds\.$/);
  await reads(page, '#buy', /^Wait \d+ s$/);
  await reads(page, '#buy', 'Buy for ₩19,900');
}

async function signIn(stage, broadcast) {
  const { shop } = stage;
  await shop.spotlight(broadcast, { ivory: 5 });
  const ranOut = 'Your sign-in has run out. You can go on watching; open the show again from the shop to buy.';
  const late = await stage.watch(broadcast, { token: shop.token('viewer', 'ana', { ttl: -3600 }) });
  await stockIs(late, 5, 0, 0);
  await reads(late, '#sign-in', ranOut);

  // it runs out while the page is open: the viewer goes on watching
  const page = await stage.watch(broadcast, { token: shop.token('viewer', 'bo', { ttl: 3 }) });
  await reads(page, '#buy', 'Buy for ₩19,900');
  await reads(page, '#sign-in', ranOut);
  await reads(page, '#buy', 'Sign in to buy');
  // and the shop hands in a fresh one
  await page.evaluate((token) => { location.hash = `token=${token}`; }, shop.token('viewer', 'bo'));
  await reads(page, '#buy', 'Buy for ₩19,900');
  await page.locator('#buy').click();
  await page.locator(order('confirmed')).waitFor();

  const host = await stage.watch(broadcast, { token: shop.token('host', 'host-1') });
  await reads(host, '#sign-in', 'You are signed in as staff. Only viewers can buy.');
  const stranger = await stage.watch(broadcast, { token: shop.token('viewer', 'ana', { seller: 'other' }) });
  await reads(stranger, '#banner', 'Your sign-in belongs to another shop, so it cannot open this show.');
  const lost = await stage.watch('00000000-0000-4000-8000-000000000000');
  await reads(lost, '#banner', 'There is no such show. Check the address.');
}
