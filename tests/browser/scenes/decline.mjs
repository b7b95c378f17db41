// The card is declined: the viewer is told why, and the unit is back for everybody.
import { order, payWith, reads, stockIs } from '../stage.mjs';

export default async function play(stage) {
  const { shop } = stage;
  const broadcast = await shop.broadcast();
  const spotlight = await shop.spotlight(broadcast, { ivory: 1 });
  const page = await stage.watch(broadcast, { viewer: 'ana' });
  await stockIs(page, 1, 0, 0);
  await payWith(page, 'sim_decline_hard');
  await page.locator('#buy').click();
  await page.locator(order('failed')).waitFor();
  await reads(page, `${order('failed')} .words`, 'Not bought. The payment was declined. Nothing was charged.');
  await stockIs(page, 1, 0, 0);
  const failed = await shop.onlyOrder('ana', spotlight);
  if (failed.reason !== 'payment_declined') throw new Error(JSON.stringify(failed));

  // the answer of the provider is lost and found again; told twice it is still one sale
  await payWith(page, 'sim_unknown');
  await page.locator('#buy').click();
  await page.locator(order('confirmed')).waitFor();
  await stockIs(page, 0, 0, 1);
}
