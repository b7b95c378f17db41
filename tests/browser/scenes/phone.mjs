// 360 pixels wide, in both languages: nothing is cut off, everything is large enough for a thumb.
import assert from 'node:assert/strict';
import { PHONE, order, payWith, reads, stockIs } from '../stage.mjs';

const THUMB_PX = 44;

export default async function play(stage) {
  const { shop } = stage;
  const title = 'A very long title of a show that sells a great many handmade ceramic lamps on Friday night';
  const broadcast = await shop.broadcast({ title });
  const name = 'Lampenschirmhalterungsbefestigungsschraubenset mit handgemachter Keramik, 아이보리 컬러 한정판 조명';
  const spotlight = await shop.spotlight(broadcast, { 'ivory-extra-long-name-of-a-sku-without-a-break': 5000, black: 1 }, {
    product: { id: 'lamp', name, original_price: { minor: 1_239_900, currency: 'KRW' } },
    live_price: { minor: 1_119_900, currency: 'KRW' },
    per_viewer_limit: 3,
    closes_at: new Date(Date.now() + 7200_000).toISOString(),
  });
  await shop.spotlight(broadcast, { mug: 5 }, {
    product: { id: 'mug', name: 'Mug', original_price: { minor: 9_900, currency: 'KRW' } },
    opens_at: new Date(Date.now() + 7200_000).toISOString(),
  });
  for (const locale of ['ko-KR', 'en-US']) {
    const viewer = `ana-${locale}`;
    const page = await stage.watch(broadcast, { viewer, size: PHONE, locale });
    await reads(page, '#product', name);
    await assertFits(page, `${locale}, open`);
    await assertThumbs(page);
    await payWith(page, 'sim_never');
    await page.locator('#buy').click();
    await page.locator(order('reserved')).waitFor();
    await assertFits(page, `${locale}, reserved`);
    await page.locator('#more').click();
    await page.locator('#more').click();
    await page.locator('#buy').click();
    await page.locator('#answer[data-code=over_limit]').waitFor();
    await assertFits(page, `${locale}, refused`);
    await assertThumbs(page);
    stage.network.cut();
    await page.locator('#banner').waitFor();
    await assertFits(page, `${locale}, not connected`);
    stage.network.heal();
    await page.locator('#banner').waitFor({ state: 'hidden' });
  }
  const mug = await stage.watch(broadcast, { viewer: 'bo', size: PHONE });
  await mug.getByRole('button', { name: 'Mug' }).click();
  await reads(mug, '#product', 'Mug');
  await stockIs(mug, 5, 0, 0);
  await shop.act(spotlight, 'close');
  await assertFits(mug, 'another offer');
}

async function assertFits(page, where) {
  const [width, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(width <= inner, `${where}: ${width} pixels wide on a phone of ${inner}`);
  const outside = await page.evaluate(() => [...document.querySelectorAll('main *, header *')]
    .filter((node) => node.checkVisibility() && !node.closest('.hidden-label'))
    .filter((node) => node.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
    .map((node) => node.outerHTML.slice(0, 120)));
  assert.deepEqual(outside, [], where);
}

async function assertThumbs(page) {
  const small = await page.evaluate((least) => [...document.querySelectorAll('button, select, input:not([type=radio]), label:has([type=radio])')]
    .filter((node) => node.checkVisibility())
    .filter((node) => node.getBoundingClientRect().height < least)
    .map((node) => node.outerHTML.slice(0, 120)), THUMB_PX);
  assert.deepEqual(small, []);
}
