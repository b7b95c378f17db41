// What a moderator does is seen at once: pinned, announced, slowed, closed, removed, muted, banned.
import assert from 'node:assert/strict';
import { assertAccessible, reads } from '../stage.mjs';

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  const chat = (action, body) => shop.host(`/v1/broadcasts/${broadcast}/chat/${action}`, body);
  const ana = await stage.watch(broadcast, { viewer: 'ana', name: 'Ana' });
  const bo = await stage.watch(broadcast, { viewer: 'bo', name: 'Bo' });
  await reads(ana, '#chat-notice', '');
  await chat('announce', { message: 'Shipping is free tonight' });
  await reads(ana, '#messages .announcement', 'Announcement Shipping is free tonight');
  await chat('pin', { message: 'Code: LAMP' });
  await reads(ana, '#pinned', 'Pinned: Code: LAMP');
  await assertAccessible(ana, 'announced and pinned');

  await say(bo, 'something rude');
  const rude = ana.locator('#messages li', { hasText: 'something rude' });
  await rude.waitFor();
  const id = await rude.getAttribute('data-message');
  const token = shop.token('moderator', 'mod-1');
  const removed = await shop.call('DELETE', `/v1/broadcasts/${broadcast}/chat/messages/${id}`, { token });
  assert.ok(removed.status < 300, JSON.stringify(removed));
  await rude.waitFor({ state: 'detached' });

  await chat('slow', { seconds: 30 });
  await reads(ana, '#chat-notice', 'Slow chat: one message every 30 seconds.');
  await say(ana, 'one');
  await ana.locator('.mine', { hasText: 'one' }).waitFor();
  await say(ana, 'two');
  await reads(ana, '#chat-notice', /^Too fast\. You can write again in \d+ seconds\.$/);
  await chat('slow', { seconds: 0 });
  await chat('freeze', {});
  await reads(bo, '#chat-notice', 'The chat is closed for the moment.');
  await assertAccessible(bo, 'closed chat');
  // whoever comes now is told too
  const late = await stage.watch(broadcast, { viewer: 'cy' });
  await reads(late, '#chat-notice', 'The chat is closed for the moment.');
  await reads(late, '#pinned', 'Pinned: Code: LAMP');
  await chat('thaw', {});
  await reads(late, '#chat-notice', '');

  await chat('viewers/bo/mute', { seconds: 600 });
  await reads(bo, '#chat-notice', 'You may not write for now.');
  await chat('viewers/cy/ban', {});
  await reads(late, '#banner', 'You have been removed from this show.');
  await late.reload();
  await reads(late, '#banner', 'You have been removed from this show.');
}

async function say(page, message) {
  await page.locator('#chat-input').fill(message);
  await page.locator('#chat-input').press('Enter');
  await page.waitForFunction(() => document.querySelector('#chat-form button').getAttribute('aria-disabled') === null);
}
