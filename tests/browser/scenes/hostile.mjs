// What sellers and viewers type is text, whatever it looks like; the policy stops what is not ours.
import assert from 'node:assert/strict';
import { reads, stockIs } from '../stage.mjs';

const MARKUP = '<img src=x onerror="globalThis.broken = 1"><script>globalThis.broken = 2</script>';

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast({ title: MARKUP });
  await shop.spotlight(broadcast, { ivory: 1 }, {
    product: { id: 'lamp', name: MARKUP, original_price: { minor: 39_900, currency: 'KRW' } },
  });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await stockIs(page, 1, 0, 0);
  await reads(page, '#product', MARKUP);
  await reads(page, '#title', MARKUP);
  assert.equal(await page.evaluate(() => globalThis.broken), undefined);
  assert.equal(await page.locator('main script, main img[src=x]').count(), 0);

  // a script that got in would not run, and could not send anything away
  const refused = await page.evaluate(async () => {
    const refusals = [];
    addEventListener('securitypolicyviolation', (event) => refusals.push(event.effectiveDirective));
    const attempt = (act) => { try { act(); } catch (error) { refusals.push(error.name); } };
    attempt(() => { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); });
    attempt(() => { document.body.setAttribute('onclick', 'globalThis.broken = 3'); });
    const image = document.createElement('img');
    image.src = 'http://127.0.0.1:9/leak';
    document.body.append(image);
    await fetch('https://evil.example/').catch(() => refusals.push('fetch'));
    await new Promise((done) => setTimeout(done, 100));
    document.body.click();
    return { refusals, broken: globalThis.broken };
  });
  assert.equal(refused.broken, undefined);
  for (const what of ['TypeError', 'img-src', 'connect-src', 'fetch']) {
    assert.ok(refused.refusals.includes(what), `${what}: ${refused.refusals}`);
  }
  stage.forgive();
}
