// A viewer buys, sees it confirmed, and sees it again after opening the page anew.
import assert from 'node:assert/strict';
import { order, reads, stockIs } from '../stage.mjs';

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  const spotlight = await shop.spotlight(broadcast, { ivory: 3 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  const other = await stage.watch(broadcast);
  await stockIs(page, 3, 0, 0);

  const address = new URL(page.url());
  assert.deepEqual([address.search, address.hash], ['', ''], 'the token is out of the address bar');
  assert.equal(await page.title(), 'Friday show');
  await reads(page, '#show-status', 'Live');
  await reads(page, '#price', '₩19,900');
  await reads(page, '#original', '₩39,900');
  await reads(page, '#buy', 'Buy for ₩19,900');
  await reads(page, '#stock-words', '3 left · 0 held · 0 sold');

  await page.locator('#more').click();
  await reads(page, '#buy', 'Buy for ₩39,800');
  await page.locator('#buy').click();
  await page.locator(order('confirmed')).waitFor();
  await reads(page, '#answer', 'Your order is in. You can follow it below.');
  await reads(page, `${order('confirmed')} .words`, 'Confirmed. It is yours.');
  await reads(page, `${order('confirmed')} .lines`, '2 × Ceramic lamp');
  await stockIs(page, 1, 0, 2);
  await stockIs(other, 1, 0, 2);
  const bought = await shop.onlyOrder('ana', spotlight);
  assert.deepEqual([bought.status, bought.total.minor], ['confirmed', 39_800]);

  // somebody who is not signed in watches, and is told how to buy
  await reads(other, '#buy', 'Sign in to buy');
  await reads(other, '#sign-in', /^You are watching without signing in/);
  await other.locator('#buy').click({ force: true });
  assert.equal(await other.locator('#answer').isVisible(), false);

  // the tab keeps its viewer
  await page.reload();
  await reads(page, `${order('confirmed')} .words`, 'Confirmed. It is yours.');
  await reads(page, '#buy', 'Buy for ₩19,900');

  // a token in the query is no sign-in: it would be in every log
  const query = `?token=${shop.token('viewer', 'eve')}`;
  const logged = await stage.watch(broadcast, { query });
  await reads(logged, '#buy', 'Sign in to buy');
}
