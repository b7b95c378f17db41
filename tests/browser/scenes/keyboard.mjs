// Without a mouse: everything is reached with the Tab key, is seen to be reached, and works.
import assert from 'node:assert/strict';
import { order, reads, stockIs } from '../stage.mjs';

const STOPS_MAX = 40;

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  const spotlight = await shop.spotlight(broadcast, { ivory: 5, black: 5 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await stockIs(page, 10, 0, 0);

  // the first stop leads past everything to the offer
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const stops = await everyStop(page);
  for (const id of ['fewer', 'quantity', 'more', 'buy']) assert.ok(stops.includes(id), `${id} is not reached: ${stops}`);
  assert.ok(stops.indexOf('quantity') < stops.indexOf('buy'), `${stops}`);

  await page.locator('.skip').focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'buy');
  // back to the choice: the other SKU, two of it
  await page.locator('input[name=sku]').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.locator('#quantity').focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Tab');
  await reads(page, '#buy', 'Buy for ₩39,800');
  await page.locator('#method').evaluate((select) => { select.closest('details').open = true; });
  await page.locator('#method').focus();
  await page.keyboard.type('No answer');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'buy');
  await page.keyboard.press('Enter');
  await page.locator(order('reserved')).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'buy', 'the focus stays where it was');
  const [bought] = await shop.orders('ana', spotlight);
  assert.deepEqual(bought.lines.map(({ sku, quantity }) => [sku, quantity]), [['black', 2]]);

  // what a screen reader is told
  await reads(page, '#announcer', /Ceramic lamp, black.*Reserved for you/s);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator(order('cancelled')).waitFor();
  await stockIs(page, 10, 0, 0);
  await page.locator('[data-language=ko]').focus();
  await page.keyboard.press('Space');
  await reads(page, '#orders-title', '내 주문');
}

// The ids (or names) of what the Tab key stops at, each with a visible focus.
async function everyStop(page) {
  const stops = [];
  for (let count = 0; count < STOPS_MAX; count += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const node = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(node);
      return { id: node.id || node.name || node.dataset.language || node.tagName, seen: outlineStyle !== 'none' && outlineWidth !== '0px' };
    });
    if (stop.id === 'BODY') break;
    assert.ok(stop.seen, `${stop.id} has no visible focus`);
    stops.push(stop.id);
  }
  return stops;
}
