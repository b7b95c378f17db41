// Korean and English: the same words exist in both, and the page speaks the one that is asked for.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import en from '../../../api/pages/watch/words/en.js';
import ko from '../../../api/pages/watch/words/ko.js';
import { order, payWith, reads, stockIs } from '../stage.mjs';

const OUTCOMES = ['sold_out', 'not_open', 'paused', 'closed', 'over_limit', 'offer_changed'];

export default async function play(stage) {
  await words();
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  await shop.spotlight(broadcast, { ivory: 2 });
  const page = await stage.watch(broadcast, { viewer: 'ana', locale: 'ko-KR' });
  await stockIs(page, 2, 0, 0);
  assert.equal(await page.locator('html').getAttribute('lang'), 'ko');
  await reads(page, '#buy', '₩19,900에 구매');
  await reads(page, '#stock-words', '2개 남음 · 0개 결제 중 · 0개 판매');
  await payWith(page, 'sim_decline_hard');
  await page.locator('#buy').click();
  await reads(page, `${order('failed')} .words`, '구매되지 않았습니다. 결제가 거절되었습니다. 청구된 금액은 없습니다.');
  await page.getByRole('button', { name: 'English' }).click();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await reads(page, `${order('failed')} .words`, 'Not bought. The payment was declined. Nothing was charged.');
  await reads(page, '#buy', 'Buy for ₩19,900');
  // what was chosen stays
  await page.reload();
  await reads(page, '#buy', 'Buy for ₩19,900');
  const asked = await stage.watch(broadcast, { query: '?lang=ko' });
  await reads(asked, '#buy', '로그인 후 구매');
  const french = await stage.watch(broadcast, { locale: 'fr-FR' });
  await reads(french, '#buy', 'Sign in to buy');
}

async function words() {
  assert.deepEqual(Object.keys(ko), Object.keys(en), 'the same words in both languages');
  const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const key of Object.keys(en)) assert.deepEqual(holes(ko[key]), holes(en[key]), key);
  for (const code of OUTCOMES) assert.ok(`no_${code}` in en, code);
  // every reason that an order can have, from where it is declared
  const source = await readFile(new URL('../../../domain/src/order/event.rs', import.meta.url), 'utf8');
  const listed = /pub enum OrderReason \{(.*?)\n\}/s.exec(source);
  assert.ok(listed, 'the list of reasons has moved');
  const reasons = [...listed[1].matchAll(/^ {4}([A-Z]\w+),/gm)]
    .map(([, name]) => name.replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase());
  assert.ok(reasons.length >= 10, `${reasons}`);
  for (const reason of reasons) assert.ok(`reason_${reason}` in en, reason);
}
