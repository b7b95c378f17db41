// The chat: what was said, and the form to say something.

import { byId, element, setAttribute, setEnabled, setText, show } from './dom.js';
import { number, timeOfDay } from './format.js';
import { has, t } from './words/index.js';

// The server's limit, in characters as a person counts them.
const MESSAGE_MAX = 200;
const SHOWN_MAX = 200;
const NEAR_END_PX = 60;

const segmenter = 'Segmenter' in Intl ? new Intl.Segmenter(undefined, { granularity: 'grapheme' }) : null;

export function characters(text) {
  return segmenter ? [...segmenter.segment(text)].length : [...text].length;
}

export class Chat {
  #feed;
  #broadcast;
  #session;
  #messages = [];
  #pinned = null;
  #mode = { frozen: false, slow_seconds: 0 };
  #told = null;
  #reason = null;
  #notice = null;
  #until = 0;
  #isSending = false;

  constructor(feed, broadcast, session) {
    this.#feed = feed;
    this.#broadcast = broadcast;
    this.#session = session;
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    byId('chat-input').addEventListener('input', () => this.#typed());
  }

  // The stream begins; unless all that was missed follows, what was shown is no longer whole.
  begins(recovered, state) {
    if (!recovered) {
      this.#messages = [];
      byId('message-list').replaceChildren();
    }
    if (state) this.#pinned = null;
    for (const message of [state?.mode, state?.pinned, ...(state?.messages ?? [])]) if (message) this.take(message);
  }

  take(message) {
    const handlers = {
      chat: () => this.#add(message),
      announcement: () => this.#add(message),
      skipped: () => this.#add(message),
      removed: () => this.#remove(message.id),
      pinned: () => { this.#pinned = message.message || null; },
      mode: () => { this.#mode = message; },
    };
    handlers[message.type]?.();
    this.render();
  }

  #add(message) {
    if (message.id && this.#messages.some(({ id }) => id === message.id)) return;
    this.#messages.push(message);
    const [view, list] = [byId('messages'), byId('message-list')];
    const follows = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_END_PX;
    list.append(this.#entry(message));
    while (this.#messages.length > SHOWN_MAX) {
      this.#messages.shift();
      list.firstElementChild?.remove();
    }
    if (follows) view.scrollTop = view.scrollHeight;
  }

  #remove(id) {
    const at = this.#messages.findIndex((message) => message.id === id);
    if (at < 0) return;
    this.#messages.splice(at, 1);
    byId('message-list').children[at]?.remove();
  }

  #entry(message) {
    if (message.type === 'skipped') {
      return element('li', { className: 'skipped' }, t('chat_skipped', { count: number(message.count) }));
    }
    if (message.type === 'announcement') {
      return element('li', { className: 'announcement' }, element('b', {}, t('chat_announcement')), ` ${message.message}`);
    }
    const { viewer = {}, sent_at: sentAt } = message;
    const role = ['host', 'moderator'].includes(viewer.role) ? t(`chat_${viewer.role}`) : null;
    return element(
      'li',
      { className: viewer.id && viewer.id === this.#session.viewer ? 'mine' : '', 'data-message': message.id },
      element('b', {}, viewer.name || viewer.id || t('chat_guest')),
      role && element('span', { className: 'role' }, role),
      sentAt && element('time', { dateTime: sentAt }, timeOfDay(sentAt)),
      element('span', { className: 'said' }, message.message),
    );
  }

  // What moderators did about this viewer.
  moderated({ action, reason }) {
    this.#told = { muted: 'chat_no_muted', banned: 'chat_no_banned' }[action] ?? null;
    this.#reason = reason ?? null;
    this.render();
  }

  // The words of a new language.
  redraw() {
    byId('message-list').replaceChildren(...this.#messages.map((message) => this.#entry(message)));
    this.render();
  }

  render() {
    const offered = this.#feed.has('chat');
    show(byId('messages'), offered || this.#messages.length > 0);
    show(byId('chat-form'), offered && this.#session.signedIn);
    show(byId('pinned'), offered && this.#pinned !== null);
    setText(byId('pinned'), this.#pinned === null ? '' : t('chat_pinned', { message: this.#pinned }));
    const input = byId('chat-input');
    input.readOnly = this.#mode.frozen;
    setEnabled(byId('chat-form').querySelector('button'), !this.#mode.frozen && !this.#isSending);
    setText(byId('chat-notice'), this.#words(offered));
    setAttribute(input, 'aria-invalid', characters(input.value) > MESSAGE_MAX ? 'true' : null);
  }

  #words(offered) {
    if (!offered) return t('chat_absent');
    if (!this.#session.signedIn) return t('chat_sign_in');
    if (this.#until > Date.now()) {
      return t('chat_wait', { seconds: Math.ceil((this.#until - Date.now()) / 1000) });
    }
    if (this.#notice) return this.#notice();
    if (this.#told) return [t(this.#told), this.#reason].filter(Boolean).join(' ');
    if (this.#mode.frozen) return t('chat_frozen');
    return this.#mode.slow_seconds > 0 ? t('chat_slow', { seconds: this.#mode.slow_seconds }) : '';
  }

  #typed() {
    const count = characters(byId('chat-input').value);
    this.#notice = count > MESSAGE_MAX ? () => t('chat_too_long', { max: MESSAGE_MAX, count }) : null;
    this.render();
  }

  async #send() {
    const input = byId('chat-input');
    const message = input.value.trim();
    if (!message || this.#isSending || this.#mode.frozen || characters(message) > MESSAGE_MAX) return;
    this.#isSending = true;
    this.render();
    try {
      const answer = await this.#feed.rpc('chat.send', { broadcast: this.#broadcast, message });
      if (answer?.refused) {
        this.#refused(answer.refused);
      } else {
        this.#notice = null;
        input.value = '';
      }
    } catch {
      this.#notice = () => t('chat_unsent');
    }
    this.#isSending = false;
    this.render();
  }

  #refused({ code, reason, retry_after_ms: retryAfterMs }) {
    if (retryAfterMs) this.#until = Date.now() + retryAfterMs;
    this.#notice = () => (has(`chat_no_${code}`) ? t(`chat_no_${code}`) : t('chat_refused', { reason: reason ?? code }));
  }

  // Once a second: a wait runs out.
  tick() {
    if (this.#until === 0) return;
    if (this.#until <= Date.now()) {
      this.#until = 0;
      this.#notice = null;
    }
    this.render();
  }
}
