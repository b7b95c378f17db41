// The viewer's own orders, each with its state in plain words and what can still be done.

import { announce, byId, element, setAttribute, setEnabled, setText, show } from '../dom.js';
import { duration, money } from '../format.js';
import { Problem } from '../http.js';
import { isOpen } from '../orders.js';
import { has, t } from '../words/index.js';

export class OrdersView {
  #room;
  #orders;
  #isSimulated;
  #doing = new Map();

  constructor({ room, orders, isSimulated }) {
    this.#room = room;
    this.#orders = orders;
    this.#isSimulated = isSimulated;
    byId('orders').addEventListener('click', ({ target }) => {
      const { action, order } = target.dataset;
      if (action && target.getAttribute('aria-disabled') !== 'true') this.#act(action, order);
    });
  }

  // Tells a screen reader of a change that was not asked for.
  tell(order) {
    announce(t('order_news', { lines: this.#lines(order), words: this.#words(order) }));
  }

  async #act(action, id) {
    this.#doing.set(id, action === 'cancel' ? 'cancelling' : 'buy_sending');
    this.render();
    try {
      if (action === 'cancel') await this.#orders.cancel(id);
      else await this.#orders.pay(id, this.#isSimulated ? byId('method').value : this.#orders.get(id).payment_method);
      this.#doing.delete(id);
    } catch (problem) {
      const isLate = problem instanceof Problem && problem.status === 409;
      const failed = action === 'cancel' ? 'cancel_failed' : 'pay_failed';
      this.#doing.set(id, isLate ? 'cancel_too_late' : failed);
      announce(t(this.#doing.get(id)));
    }
    this.render();
  }

  render() {
    const list = this.#orders.list;
    show(byId('orders-section'), list.length > 0);
    const entries = list.map((order) => {
      const entry = byId(`order-${order.id}`) ?? blank(order.id);
      this.#fill(entry, order);
      return entry;
    });
    const parent = byId('orders');
    entries.forEach((entry, at) => {
      if (parent.children[at] !== entry) parent.insertBefore(entry, parent.children[at] ?? null);
    });
    while (parent.children.length > entries.length) parent.lastElementChild.remove();
  }

  #fill(entry, order) {
    const lines = this.#lines(order);
    setAttribute(entry, 'data-status', order.status);
    setText(entry.querySelector('.lines'), lines);
    setText(entry.querySelector('.total'), money(order.total));
    setText(entry.querySelector('.words'), this.#words(order));
    setText(entry.querySelector('.hold'), this.#hold(order));
    const doing = this.#doing.get(order.id);
    const isUnderWay = doing === 'cancelling' || doing === 'buy_sending';
    setText(entry.querySelector('.doing'), doing && (isUnderWay ? isOpen(order) : true) ? t(doing) : '');
    const cancel = entry.querySelector('[data-action=cancel]');
    show(cancel, isOpen(order));
    setText(cancel, t('cancel'));
    setAttribute(cancel, 'aria-label', t('cancel_label', { lines }));
    setEnabled(cancel, !isUnderWay);
    const again = entry.querySelector('[data-action=pay]');
    show(again, isOpen(order) && order.payment.retryable);
    setText(again, t('pay_again'));
    setEnabled(again, !isUnderWay);
    const next = entry.querySelector('a');
    const address = redirect(order);
    show(next, address !== null);
    setText(next, t('pay_continue'));
    if (address !== null) setAttribute(next, 'href', address);
  }

  #lines(order) {
    const names = new Map();
    for (const spotlight of this.#room.spotlights) {
      if (spotlight.id !== order.spotlight_id) continue;
      for (const { sku, name } of spotlight.skus) {
        names.set(sku, [spotlight.product.name, spotlight.skus.length > 1 ? (name ?? sku) : null].filter(Boolean).join(', '));
      }
    }
    return order.lines.map(({ sku, quantity }) => t('order_line', { name: names.get(sku) ?? sku, quantity })).join(' · ');
  }

  #words(order) {
    const { status, payment, reason } = order;
    const refunded = order.refunded ? money(order.refunded) : null;
    const why = reason && has(`reason_${reason}`) ? ` ${t(`reason_${reason}`)}` : '';
    switch (status) {
      case 'pending':
        return reason || payment.attempts > 0 ? (why.trim() || t('order_pending_payment')) : t('order_pending');
      case 'reserved':
        if (payment.retryable) return t('order_reserved_retry');
        if (payment.status === 'requires_action') return t('order_reserved_action');
        return t(payment.status === 'none' ? 'order_reserved_unpaid' : 'order_reserved');
      case 'confirmed':
        return refunded ? t('order_confirmed_part', { refunded }) : t('order_confirmed');
      case 'refunded':
        return t('order_refunded', { refunded: refunded ?? money(order.total) }) + why;
      default:
        return t(`order_${status}`) + why;
    }
  }

  #hold({ status, hold_expires_at: until }) {
    if (status !== 'reserved' || !until) return '';
    const left = Date.parse(until) - this.#room.now();
    return left > 0 ? t('held_for', { time: duration(left) }) : t('hold_ends');
  }

  // Once a second: the holds run down.
  tick() {
    for (const order of this.#orders.list.filter(isOpen)) {
      const hold = byId(`order-${order.id}`)?.querySelector('.hold');
      if (hold) setText(hold, this.#hold(order));
    }
  }
}

function blank(id) {
  const button = (action) => {
    const node = element('button', { type: 'button' });
    Object.assign(node.dataset, { action, order: id });
    return node;
  };
  return element(
    'li',
    { id: `order-${id}`, tabIndex: -1 },
    element('p', {}, element('b', { className: 'lines' }), ' ', element('span', { className: 'total' })),
    element('p', { className: 'words' }),
    element('p', { className: 'hold', role: 'timer' }),
    element('p', { className: 'doing' }),
    element('a', { rel: 'noopener', hidden: true }),
    button('pay'),
    button('cancel'),
  );
}

// Where the buyer goes on to pay; only over TLS, wherever the provider sends.
function redirect(order) {
  const next = order.payment.next_action;
  if (order.status !== 'reserved' || next?.type !== 'redirect') return null;
  return /^https:\/\//.test(next.url ?? '') ? next.url : null;
}
