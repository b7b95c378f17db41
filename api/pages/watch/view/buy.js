// The buy button, and what came of the last press in plain words.

import { announce, byId, element, isEnabled, setAttribute, setEnabled, setText, show } from '../dom.js';
import { money, number, timeOfDay, times } from '../format.js';
import { stockOf } from '../room.js';
import { has, t } from '../words/index.js';

export class BuyView {
  #room;
  #card;
  #session;
  #purchase;
  #orders;
  #isSimulated;
  #told = '';

  constructor({ room, card, session, purchase, orders, isSimulated }) {
    this.#room = room;
    this.#card = card;
    this.#session = session;
    this.#purchase = purchase;
    this.#orders = orders;
    this.#isSimulated = isSimulated;
    byId('order-form').addEventListener('submit', (event) => {
      event.preventDefault();
      if (isEnabled(byId('buy'))) this.#press();
    });
    byId('answer').addEventListener('click', (event) => {
      const order = event.target.dataset?.order;
      if (order === undefined) return;
      event.preventDefault();
      this.#goTo(order);
    });
  }

  #press() {
    if (this.#purchase.phase === 'unanswered') {
      this.#purchase.again();
      return;
    }
    const { spotlight } = this.#room;
    const line = { sku: this.#card.sku, quantity: this.#card.quantity };
    const body = { spotlight_id: spotlight.id, offer_version: spotlight.offer.version, lines: [line] };
    if (this.#isSimulated) body.payment_method = byId('method').value;
    this.#purchase.press({ body, price: this.#card.price });
  }

  // Shows an order of the list, reading it first if it is not there.
  async #goTo(id) {
    try {
      if (!this.#orders.get(id)) await this.#orders.read(id);
    } catch {
      return; // it is named still, and can be pressed again
    }
    const entry = byId(`order-${id}`);
    entry?.scrollIntoView({ block: 'center' });
    entry?.focus();
  }

  render() {
    const { spotlight } = this.#room;
    if (spotlight === null) {
      show(byId('answer'), false);
      return;
    }
    const [words, enabled] = this.#button(spotlight);
    const button = byId('buy');
    setText(button, words);
    setEnabled(button, enabled);
    setAttribute(button, 'aria-busy', this.#purchase.underWay ? 'true' : null);
    this.#answer();
    this.#signIn();
  }

  #button(spotlight) {
    const { phase, underWay, waits } = this.#purchase;
    if (underWay) return [t('buy_sending'), false];
    if (phase === 'unanswered') return [t('buy_again'), true];
    if (waits > 0) return [t('buy_wait', { seconds: waits }), false];
    if (spotlight.status === 'scheduled') return [t('buy_not_open'), false];
    if (spotlight.status === 'paused') return [t('buy_paused'), false];
    if (spotlight.status === 'closed') return [t('buy_closed'), false];
    const { remaining, held } = stockOf(spotlight, this.#card.sku);
    if (remaining <= 0) return [t(held > 0 ? 'buy_all_held' : 'buy_sold_out'), false];
    if (!this.#session.mayBuy) return [t('buy_sign_in'), false];
    return [t('buy', { price: money(times(this.#card.price, this.#card.quantity)) }), true];
  }

  #signIn() {
    const words = this.#session.ranOut ? 'sign_in_ran_out' : this.#session.signedIn ? 'not_a_buyer' : 'sign_in_to_buy';
    show(byId('sign-in'), !this.#session.mayBuy);
    setText(byId('sign-in'), this.#session.mayBuy ? '' : t(words));
  }

  #answer() {
    const { phase, problem } = this.#purchase;
    const words = this.#answerWords();
    const box = byId('answer');
    show(box, words !== '');
    setAttribute(box, 'data-phase', phase);
    setAttribute(box, 'data-code', phase === 'refused' ? problem.code : null);
    const told = `${phase} ${problem?.code} ${words}`;
    if (told === this.#told) return;
    this.#told = told;
    const openOrder = phase === 'refused' && problem.code === 'over_limit' ? idOf(problem.location) : null;
    const link = openOrder && element('a', { href: `#order-${openOrder}` }, t('see_open_order'));
    if (link) link.dataset.order = openOrder;
    box.replaceChildren(element('p', {}, words), ...(link ? [link] : []));
    if (phase === 'sending') announce(t('buy_sending'));
  }

  #answerWords() {
    const { phase, problem } = this.#purchase;
    if (['unsure', 'busy', 'unanswered', 'accepted'].includes(phase)) return t(phase);
    return phase === 'refused' ? this.#refusal(problem) : '';
  }

  #refusal(problem) {
    const { code, body } = problem;
    const [line] = this.#purchase.request.body.lines;
    // the host has let it go on meanwhile
    if (['paused', 'not_open'].includes(code) && this.#room.spotlight.status === 'open') return '';
    switch (code) {
      case 'sold_out': {
        const remaining = body.remaining?.[line.sku] ?? 0;
        const values = { remaining: number(remaining), quantity: number(line.quantity) };
        return t(remaining > 0 ? 'no_sold_out_some' : 'no_sold_out', values);
      }
      case 'not_open':
        return body.opens_at ? t('no_not_open_at', { time: timeOfDay(body.opens_at) }) : t('no_not_open');
      case 'over_limit':
        return t('no_over_limit', { limit: number(body.per_viewer_limit ?? this.#room.spotlight?.per_viewer_limit ?? 0) });
      case 'offer_changed':
        return t('no_offer_changed', { price: money(body.offer.sku_prices?.[line.sku] ?? body.offer.live_price) });
      case 'rate_limited':
        return this.#purchase.waits > 0 ? t('no_rate_limited', { seconds: this.#purchase.waits }) : '';
      case 'token_expired':
      case 'token_invalid':
      case 'unauthenticated':
        return t('no_unauthenticated');
      case 'invalid':
      case 'malformed_request':
        return t('no_invalid', { detail: body.detail ?? '' });
      default:
        return has(`no_${code}`) ? t(`no_${code}`) : t('no_other', { code, trace: body.trace_id ?? '–' });
    }
  }
}

const idOf = (address) => address?.split('/').at(-1) ?? null;
