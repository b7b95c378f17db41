// The last units go: what is left, what is held, and who was too late, in plain words.
import assert from 'node:assert/strict';
import { beforeTheNextOrder, order, payWith, reads, stockIs } from '../stage.mjs';

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  const spotlight = await shop.spotlight(broadcast, { ivory: 4 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await stockIs(page, 4, 0, 0);

  // two of four go while three are on their way
  await page.locator('#quantity').fill('3');
  await beforeTheNextOrder(page, () => shop.order('bo', spotlight, { quantity: 2 }));
  await page.locator('#buy').click();
  await reads(page, '#answer', 'Only 2 left, and you asked for 3. Choose fewer and buy again.');

  // one is held by somebody who has not paid: it may come back, and the page says so
  await page.locator('#quantity').fill('1');
  await page.locator('#buy').click();
  await page.locator(order('confirmed')).waitFor();
  const held = await shop.order('cy', spotlight, { method: 'sim_never' });
  await stockIs(page, 0, 1, 3);
  await reads(page, '#buy', 'None left right now');
  await reads(page, '#stock-words', /^All are taken, but 1 are still being paid/);
  const cy = await stage.watch(broadcast, { viewer: 'cy' });
  await cy.locator(order('reserved')).waitFor();
  await reads(cy, `#order-${held} .hold`, /^Held for (10:00|9:\d\d)$/);
  await cy.getByRole('button', { name: 'Cancel the order of 1 × Ceramic lamp' }).click();
  await reads(cy, `${order('cancelled')} .words`, 'Cancelled. You cancelled it.');
  await stockIs(page, 1, 0, 3);
  await reads(page, '#buy', 'Buy for ₩19,900');

  // and goes to somebody faster
  await beforeTheNextOrder(page, () => shop.order('bo', spotlight));
  await page.locator('#buy').click();
  await reads(page, '#answer', 'Sold out. Somebody was faster; nothing was charged.');
  await stockIs(page, 0, 0, 4);
  await reads(page, '#buy', 'Sold out');
  await reads(page, '#stock-words', 'All 4 are sold.');
  assert.equal((await shop.orders('ana', spotlight)).length, 1);

  await payWith(page, 'sim_ok');
  await page.locator('#buy').click({ force: true });
  assert.equal((await shop.orders('ana', spotlight)).length, 1, 'a button that says sold out sends nothing');
}
