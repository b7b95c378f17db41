// The network goes away in the middle of an order: the page says so, and nothing is lost or doubled.
import assert from 'node:assert/strict';
import { order, reads, stockIs } from '../stage.mjs';

export default async function play(stage) {
  const { shop, network } = stage;
  const broadcast = await shop.broadcast();
  const spotlight = await shop.spotlight(broadcast, { ivory: 5 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await stockIs(page, 5, 0, 0);
  assert.equal(await page.locator('#banner').isVisible(), false);

  // the order reaches the server, its answer does not reach the phone
  await page.route('**/v1/orders', async (route) => {
    await route.fetch();
    network.cut();
    await route.abort();
  }, { times: 1 });
  await page.locator('#buy').click();
  await reads(page, '#banner', /^Connection lost\. Reconnecting…/);
  await reads(page, '#answer', /^We do not know yet whether your order went through\./);

  // meanwhile the show goes on
  await shop.onlyOrder('ana', spotlight);
  await shop.order('bo', spotlight, { quantity: 2 });
  await shop.onlyOrder('bo', spotlight);
  await shop.act(spotlight, 'offer', { live_price: { minor: 17_900, currency: 'KRW' }, reason: 'half time' });

  network.heal();
  await reads(page, '#banner', 'You are connected again.');
  await page.locator(order('confirmed')).waitFor();
  await reads(page, '#answer', 'Your order is in. You can follow it below.');
  await stockIs(page, 2, 0, 3);
  await reads(page, '#price', '₩17,900');
  await page.locator('#banner').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#orders li').count(), 1);
  await shop.onlyOrder('ana', spotlight);

  // cut again and again, it always comes back with what is true
  for (let units = 1; units <= 2; units += 1) {
    network.cut();
    await reads(page, '#banner', /^Connection lost/);
    await shop.order(`cy-${units}`, spotlight, { version: 2 });
    await shop.onlyOrder(`cy-${units}`, spotlight);
    network.heal();
    await stockIs(page, 2 - units, 0, 3 + units);
  }
  await reads(page, '#buy', 'Sold out');
}
