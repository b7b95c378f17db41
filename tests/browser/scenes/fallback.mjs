// A network that lets no WebSocket through, then one that lets no long answer through either: everything works all the same.
import assert from 'node:assert/strict';
import { order, reads, stockIs } from '../stage.mjs';

const WEBSOCKET = /^GET \/connection\/websocket /m;
const BOTH = /^(GET \/connection\/websocket|POST \/connection\/http_stream) /m;

export default async function play(stage) {
  const { shop, network } = stage;
  const broadcast = await shop.broadcast();
  const spotlight = await shop.spotlight(broadcast, { ivory: 5 });
  let bought = 0;
  for (const [viewer, refused, way] of [['ana', WEBSOCKET, '/connection/http_stream'], ['bo', BOTH, '/connection/sse']]) {
    network.refuse(refused);
    const before = network.refused;
    const page = await stage.watch(broadcast, { viewer, name: viewer });
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await stockIs(page, 5 - bought, 0, bought);
    assert.ok(network.refused > before, 'the best way was tried');

    // a push, a call and an order
    await page.locator('#buy').click();
    bought += 1;
    await page.locator(order('confirmed')).waitFor();
    await stockIs(page, 5 - bought, 0, bought);
    await page.locator('#chat-input').fill(`hello from ${viewer}`);
    await page.locator('#chat-input').press('Enter');
    await reads(page, '#messages li.mine:last-child .said', `hello from ${viewer}`);
    assert.ok(asked.includes('/emulation'), `${asked}`);

    // cut in the middle, it comes back the same way with what it missed
    network.cut();
    await reads(page, '#banner', /^Connection lost/);
    await shop.order(`${viewer}-2`, spotlight);
    await shop.onlyOrder(`${viewer}-2`, spotlight);
    bought += 1;
    network.heal();
    await stockIs(page, 5 - bought, 0, bought);
    await page.locator('#banner').waitFor({ state: 'hidden' });
    assert.equal(await page.locator('#orders li').count(), 1);
    assert.ok(asked.includes(way), `${asked}`);
    await page.close();
  }
}
