// What is said is read by everybody, what is refused is told to whoever said it; likes and viewers are counted.
import assert from 'node:assert/strict';
import { PHONE, assertAccessible, reads } from '../stage.mjs';

const FAMILY = '👩‍👩‍👧‍👦';

export default async function play(stage) {
  const { shop, network } = stage;
  const broadcast = await shop.broadcast();
  await shop.spotlight(broadcast, { ivory: 5 });
  const ana = await stage.watch(broadcast, { viewer: 'ana', name: 'Ana' });
  const bo = await stage.watch(broadcast, { viewer: 'bo', name: 'Bo', size: PHONE, locale: 'ko-KR' });
  await reads(ana, '#chat-notice', '');
  await say(ana, 'Is it <b>heavy</b>?');
  await reads(bo, '#messages li:last-child .said', 'Is it <b>heavy</b>?');
  await reads(bo, '#messages li:last-child b', 'Ana');
  await reads(ana, '#messages li.mine .said', 'Is it <b>heavy</b>?');
  assert.equal(await ana.locator('#chat-input').inputValue(), '', 'what was sent leaves the field');
  await say(bo, '무겁지 않아요');
  await reads(ana, '#messages li:last-child .said', '무겁지 않아요');

  // a host is known by its role
  const host = await stage.watch(broadcast, { token: shop.token('host', 'host-1', { name: 'Sora' }) });
  await say(host, 'It is 2 kg');
  await reads(ana, '#messages li:last-child .role', 'Host');

  // 200 characters as a person counts them
  await ana.locator('#chat-input').fill(FAMILY.repeat(60) + 'a'.repeat(141));
  await reads(ana, '#chat-notice', 'A message has at most 200 characters; this one has 201.');
  await ana.locator('#chat-form button').click();
  await ana.locator('#chat-input').fill('');
  assert.equal(await ana.locator('#messages li').count(), 3);

  // too fast: the server says for how long
  for (let count = 1; count <= 12 && !(await told(ana)); count += 1) await say(ana, `message ${count}`);
  await reads(ana, '#chat-notice', /^Too fast\. You can write again in \d+ seconds\.$/);
  assert.notEqual(await ana.locator('#chat-input').inputValue(), '', 'what was not sent stays in the field');
  await reads(ana, '#chat-notice', '');

  // nobody in particular reads, and is told how to write
  const nobody = await stage.watch(broadcast);
  await reads(nobody, '#chat-notice', 'Open the show from the shop to chat.');
  assert.equal(await nobody.locator('#chat-form').isVisible(), false);
  await nobody.locator('#messages li .said', { hasText: '무겁지 않아요' }).waitFor();

  // a cut network loses no message
  network.cut();
  await reads(ana, '#banner', /^Connection lost/);
  network.heal();
  await ana.locator('#banner').waitFor({ state: 'hidden' });
  await bo.locator('#banner').waitFor({ state: 'hidden' });
  await say(bo, '다시 왔어요');
  await reads(ana, '#messages li:last-child .said', '다시 왔어요');
  const said = await ana.locator('#messages li .said').allInnerTexts();
  assert.equal(said.filter((text) => text === '무겁지 않아요').length, 1, `${said}`);

  await likes(ana, bo, nobody);
  await reads(ana, '#viewers', '4 watching');
  await reads(bo, '#viewers', '4명 시청 중');
  await assertAccessible(ana, 'chat');
  await assertAccessible(bo, 'chat on a phone');
}

async function likes(ana, bo, nobody) {
  for (let count = 0; count < 3; count += 1) await ana.locator('#like').click();
  await nobody.locator('#like').click();
  for (const page of [ana, bo, nobody]) await reads(page, '#like-count', '4');
}

async function say(page, message) {
  await page.locator('#chat-input').fill(message);
  await page.locator('#chat-input').press('Enter');
  await page.waitForFunction(() => document.querySelector('#chat-form button').getAttribute('aria-disabled') === null);
}

const told = async (page) => /^Too fast/.test(await page.locator('#chat-notice').innerText());
