// The product card: price, countdown, stock, what to choose, and the other offers of the show.

import { byId, element, setAttribute, setText, show } from '../dom.js';
import { duration, money, number } from '../format.js';
import { stockOf, unitPrice } from '../room.js';
import { t } from '../words/index.js';

// Most units of an order (contract §2).
const UNITS_MAX = 99;
const METHODS = ['sim_ok', 'sim_decline_hard', 'sim_decline_soft', 'sim_unknown', 'sim_late', 'sim_twice', 'sim_never'];

export class OfferCard {
  #room;
  #chosen;
  #shown = null;
  #sku = null;

  constructor(room, chosen) {
    this.#room = room;
    this.#chosen = chosen;
    byId('fewer').addEventListener('click', () => this.#step(-1));
    byId('more').addEventListener('click', () => this.#step(1));
    byId('quantity').addEventListener('change', () => this.#step(0));
    byId('skus').addEventListener('change', ({ target }) => {
      this.#sku = target.value;
      this.#chosen();
    });
  }

  get sku() {
    return this.#sku;
  }

  get quantity() {
    return clamp(Math.trunc(Number(byId('quantity').value)) || 1, 1, this.#most());
  }

  // What the buyer has chosen, and what it costs.
  get price() {
    return unitPrice(this.#room.spotlight, this.#sku);
  }

  #most() {
    return Math.min(this.#room.spotlight?.per_viewer_limit ?? UNITS_MAX, UNITS_MAX);
  }

  #step(by) {
    byId('quantity').value = clamp(this.quantity + by, 1, this.#most());
    this.#chosen();
  }

  render() {
    const { spotlight } = this.#room;
    for (const id of ['prices', 'stock', 'order-form']) show(byId(id), spotlight !== null);
    if (spotlight === null) {
      setText(byId('product'), t('no_offer_yet'));
      show(byId('picture'), false);
      show(byId('countdown'), false);
      return;
    }
    if (this.#shown !== spotlight.id) this.#begin(spotlight);
    setText(byId('product'), spotlight.product.name);
    this.#picture(spotlight.product);
    this.#prices(spotlight);
    this.#stock(spotlight);
    this.#skus(spotlight);
    this.#others();
    const limit = spotlight.per_viewer_limit;
    show(byId('limit'), limit !== undefined);
    setText(byId('limit'), limit === undefined ? '' : t('limit', { limit: number(limit) }));
    byId('quantity').max = this.#most();
    this.tick();
  }

  #begin(spotlight) {
    this.#shown = spotlight.id;
    this.#sku = spotlight.skus[0]?.sku ?? null;
    byId('quantity').value = 1;
    byId('skus').querySelectorAll('label').forEach((label) => label.remove());
  }

  #picture(product) {
    const picture = byId('picture');
    const address = /^https?:/.test(product.image_url ?? '') ? product.image_url : null;
    show(picture, address !== null);
    if (address !== null && picture.src !== address) picture.src = address;
  }

  #prices({ product }) {
    const [now, before] = [this.price, product.original_price];
    const isLess = now.minor < before.minor && now.currency === before.currency;
    setText(byId('price'), money(now));
    show(byId('original'), isLess);
    setText(byId('original'), money(before));
    setAttribute(byId('original'), 'aria-label', t('price_was', { price: money(before) }));
    show(byId('discount'), isLess);
    const percent = isLess ? Math.floor(((before.minor - now.minor) * 100) / before.minor) : 0;
    setText(byId('discount'), t('discount', { percent }));
  }

  #stock(spotlight) {
    const stock = stockOf(spotlight);
    const words = Object.fromEntries(Object.entries(stock).map(([name, value]) => [name, number(value)]));
    const bar = byId('stock-bar');
    const share = (units) => `${(units / Math.max(stock.limited_quantity, 1)) * 100}%`;
    bar.querySelector('.sold').style.width = share(stock.sold);
    bar.querySelector('.held').style.width = share(stock.held);
    setAttribute(bar, 'aria-label', t('stock_label', words));
    const isGone = stock.remaining === 0 && stock.limited_quantity > 0;
    const key = isGone ? (stock.held > 0 ? 'stock_held' : 'stock_gone') : 'stock';
    setText(byId('stock-words'), t(key, words));
    setAttribute(byId('stock'), 'data-remaining', stock.remaining);
    setAttribute(byId('stock'), 'data-held', stock.held);
    setAttribute(byId('stock'), 'data-sold', stock.sold);
  }

  #skus(spotlight) {
    const field = byId('skus');
    show(field, spotlight.skus.length > 1);
    const labels = [...field.querySelectorAll('label')];
    spotlight.skus.forEach((sku, at) => {
      const label = labels[at] ?? field.appendChild(choice(sku.sku, sku.sku === this.#sku));
      const { remaining } = stockOf(spotlight, sku.sku);
      const values = { name: sku.name ?? sku.sku, price: money(unitPrice(spotlight, sku.sku)), remaining: number(remaining) };
      setText(label.querySelector('span'), t(remaining > 0 ? 'sku_left' : 'sku_none', values));
    });
  }

  #others() {
    const current = this.#room.spotlight.id;
    const others = this.#room.spotlights.filter(({ id, status }) => id !== current && status !== 'closed');
    const nav = byId('others');
    show(nav, others.length > 0);
    const words = JSON.stringify(others.map(({ id, product }) => [id, product.name]));
    if (nav.dataset.words === words) return;
    nav.dataset.words = words;
    nav.replaceChildren(...others.map(({ id, product }) => {
      const button = element('button', { type: 'button' }, product.name);
      button.addEventListener('click', () => {
        this.#room.choose(id);
        this.#chosen();
      });
      return button;
    }));
  }

  // Once a second: the countdown.
  tick() {
    const { spotlight } = this.#room;
    const words = spotlight === null ? '' : this.#countdown(spotlight);
    show(byId('countdown'), words !== '');
    setText(byId('countdown'), words);
  }

  #countdown({ status, opens_at: opensAt, closes_at: closesAt }) {
    const left = (iso) => Date.parse(iso) - this.#room.now();
    if (status === 'scheduled') {
      return opensAt && left(opensAt) > 0 ? t('opens_in', { time: duration(left(opensAt)) }) : t('opens_soon');
    }
    if (status === 'paused') return t('offer_paused');
    if (status === 'closed') return t('offer_closed');
    return closesAt && left(closesAt) > 0 ? t('closes_in', { time: duration(left(closesAt)) }) : '';
  }

  // The simulated provider's answers; absent where payments are real.
  static testPayments(isSimulated) {
    const select = byId('method');
    const chosen = select.value || METHODS[0];
    show(byId('test-payments'), isSimulated);
    select.replaceChildren(...METHODS.map((value) => element('option', { value, selected: value === chosen }, t(value))));
  }
}

function choice(sku, checked) {
  return element(
    'label',
    {},
    element('input', { type: 'radio', name: 'sku', value: sku, checked }),
    element('span', {}),
  );
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
