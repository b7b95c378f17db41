// Makes the pictures of the documentation, from what really runs.
// usage: node screenshots.mjs watch URL SECRET docs/watch.png     a server that somebody started
//        node screenshots.mjs terminal RECORDING docs/demo.png    script -qec 'stty cols 120; onair demo --once' RECORDING
// Both are then made smaller: pngquant --force --ext .png --strip 64 docs/watch.png docs/demo.png
import { readFile } from 'node:fs/promises';

import { PHONE, Stage, order, payWith, reads, stockIs } from './stage.mjs';

const COLUMNS = 120;
const COLOURS = ['#1d1f21', '#e06c75', '#98c379', '#e5c07b', '#61afef', '#c678dd', '#56b6c2', '#dcdfe4'];
const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 84 84"><rect width="84" height="84" fill="#e9dfd3"/>
  <path d="M26 44 34 18h16l8 26z" fill="#fdf6ea" stroke="#b9a58b"/><path d="M40 44h4v16h-4z" fill="#8d7354"/>
  <rect x="30" y="60" width="24" height="7" rx="3" fill="#8d7354"/></svg>`;

// What a terminal shows after it was sent these characters.
function screen(text) {
  const lines = [[]];
  let [row, column, colour] = [0, 0, null];
  for (const [token] of text.matchAll(/\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]/gu)) {
    if (token === '\r') column = 0;
    else if (token === '\n') row += 1;
    else if (!token.startsWith('\x1b')) {
      if (column === COLUMNS) [row, column] = [row + 1, 0];
      (lines[row] ??= [])[column] = { token, colour };
      column += 1;
    } else {
      const [count, command] = [Number.parseInt(token.slice(2), 10), token.at(-1)];
      if (command === 'A') row = Math.max(0, row - (count || 1));
      if (command === 'B') row += count || 1;
      if (command === 'K') lines[row] = count === 2 ? [] : (lines[row] ?? []).slice(0, column);
      if (command === 'm') colour = count >= 30 && count <= 37 ? COLOURS[count - 30] : null;
    }
  }
  return Array.from({ length: lines.length }, (_, at) => Array.from(lines[at] ?? [], (cell) => cell ?? { token: ' ' }));
}

async function terminal(recording, target) {
  const text = (await readFile(recording, 'utf8')).replace(/^Script started.*\n/, '').replace(/\n+Script done.*\n?$/, '');
  const stage = await Stage.open('http://127.0.0.1:1', '');
  const page = await stage.browser.newPage({ viewport: { width: 1080, height: 600 }, deviceScaleFactor: 1.25 });
  await page.setContent(`<style>body { margin: 0; background: #16181b; } pre { margin: 0; padding: 18px 22px; color: #dcdfe4; display: inline-block;
    font: 14px/1.35 "DejaVu Sans Mono", monospace; } </style><pre></pre>`);
  await page.evaluate((lines) => {
    const pre = document.querySelector('pre');
    for (const line of [[{ token: '$ onair demo --once' }], ...lines]) {
      for (const { token, colour } of line) {
        const span = document.createElement('span');
        span.textContent = token;
        if (colour) span.style.color = colour;
        pre.append(span);
      }
      pre.append('\n');
    }
  }, screen(text));
  await page.locator('pre').screenshot({ path: target });
  await stage.close();
}

async function watch(url, secret, target) {
  const stage = await Stage.open(url, secret);
  const { shop } = stage;
  const broadcast = await shop.broadcast({ title: 'Friday night show' });
  const picture = 'https://pictures.example/lamp.svg';
  const spotlight = await shop.spotlight(broadcast, { ivory: 40 }, {
    product: { id: 'lamp', name: 'Ceramic lamp', image_url: picture, original_price: { minor: 39_900, currency: 'KRW' } },
    per_viewer_limit: 3,
    closes_at: new Date(Date.now() + 754_000).toISOString(),
  });
  const open = async (look) => {
    const page = await stage.watch(broadcast, look);
    await page.context().route(picture, (route) => route.fulfill({ contentType: 'image/svg+xml', body: PICTURE }));
    await page.reload();
    await page.locator('#picture').waitFor();
    return page;
  };
  const desktop = await open({ viewer: 'ana', name: 'Ana', size: { width: 1040, height: 800 } });
  const phone = await open({ viewer: 'minji', name: 'Minji', size: { ...PHONE, height: 800 }, locale: 'ko-KR', dark: true });
  for (let buyer = 0; buyer < 14; buyer += 1) await shop.order(`buyer-${buyer}`, spotlight);
  await desktop.locator('#buy').click();
  await desktop.locator(order('confirmed')).waitFor();
  await payWith(phone, 'sim_never');
  await phone.locator('#buy').click();
  await phone.locator(order('reserved')).waitFor();
  for (let buyer = 0; buyer < 4; buyer += 1) await shop.order(`slow-${buyer}`, spotlight, { method: 'sim_never' });
  await stockIs(desktop, 20, 5, 15);
  await reads(desktop, '#stock-words', '20 left · 5 held · 15 sold');
  const host = await stage.watch(broadcast, { token: shop.token('host', 'host-1', { name: 'Sora' }) });
  await say(phone, '색상이 실제로도 이런가요?');
  await say(host, 'It is warm white, as you see it here. 화면 그대로예요!');
  await say(desktop, 'Mine is confirmed, thank you');
  for (let presses = 0; presses < 7; presses += 1) await phone.locator('#like').click();
  await reads(desktop, '#like-count', '7');
  await reads(desktop, '#viewers', '3 watching');
  const shots = [];
  for (const page of [desktop, phone]) {
    await page.locator('#test-payments').evaluate((details) => { details.open = false; });
    await page.evaluate(() => {
      document.activeElement.blur();
      scrollTo(0, 0);
    });
    shots.push((await page.screenshot()).toString('base64'));
  }
  const both = await stage.browser.newPage({ viewport: { width: 1460, height: 848 } });
  await both.setContent(`<style>body { margin: 0; padding: 24px; display: flex; gap: 24px; background: #8f8a90; }
    img { border-radius: 14px; }</style>${shots.map((shot) => `<img src="data:image/png;base64,${shot}">`).join('')}`);
  await both.screenshot({ path: target });
  await stage.close();
}

async function say(page, message) {
  await page.locator('#chat-input').fill(message);
  await page.locator('#chat-input').press('Enter');
  await page.locator('.mine', { hasText: message }).waitFor();
}

const [what, ...given] = process.argv.slice(2);
await { watch, terminal }[what](...given);
