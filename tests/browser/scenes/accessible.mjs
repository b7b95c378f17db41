// axe finds nothing, in every state of the page, light and dark, wide and narrow, in both languages.
import { PHONE, assertAccessible, order, payWith, reads, stockIs } from '../stage.mjs';

export default async function play(stage) {
  const { shop } = stage;
  const looks = [{ locale: 'en-US' }, { locale: 'ko-KR', size: PHONE, dark: true }];
  for (const [at, look] of looks.entries()) {
    const broadcast = await shop.broadcast({ start: false });
    const page = await stage.watch(broadcast, { viewer: 'ana', name: 'Ana', ...look });
    await page.locator('#show-status[data-status=scheduled]').waitFor();
    await assertAccessible(page, `before the show, ${at}`);
    await shop.host(`/v1/broadcasts/${broadcast}/start`);
    const spotlight = await shop.spotlight(broadcast, { ivory: 2, black: 1 }, { per_viewer_limit: 2 });
    await stockIs(page, 3, 0, 0);
    await assertAccessible(page, `open, ${at}`);
    await payWith(page, 'sim_never');
    await page.locator('#buy').click();
    await page.locator(order('reserved')).waitFor();
    await assertAccessible(page, `reserved, ${at}`);
    await page.locator('#more').click();
    await page.locator('#buy').click();
    await page.locator('#answer[data-code=over_limit]').waitFor();
    await assertAccessible(page, `refused, ${at}`);
    await page.locator('#fewer').click();
    await payWith(page, 'sim_decline_hard');
    await page.locator('#buy').click();
    await page.locator(order('failed')).waitFor();
    await page.locator('#orders li [data-action=cancel]:visible').click();
    await page.locator(order('cancelled')).waitFor();
    stage.network.cut();
    await page.locator('#banner').waitFor();
    await assertAccessible(page, `not connected, ${at}`);
    stage.network.heal();
    await page.locator('#banner').waitFor({ state: 'hidden' });
    await shop.act(spotlight, 'pause');
    await page.locator('#buy[aria-disabled=true]').waitFor();
    await assertAccessible(page, `paused, ${at}`);
    await shop.host(`/v1/broadcasts/${broadcast}/end`);
    await page.locator('#show-status[data-status=ended]').waitFor();
    await assertAccessible(page, `ended, ${at}`);
  }
  const nobody = await stage.watch('00000000-0000-4000-8000-000000000000');
  await reads(nobody, '#banner', /./);
  await assertAccessible(nobody, 'no such show');
}
