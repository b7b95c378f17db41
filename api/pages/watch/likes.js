// The like button: presses are summed for a moment and sent as one call.

import { byId, setText, show } from './dom.js';
import { number } from './format.js';

const SUM_MS = 600;
// Most of one call (the server's limit).
const COUNT_MAX = 50;

export class Likes {
  #feed;
  #broadcast;
  #pressed = 0;
  #timer = null;
  #offered = true;
  #count;

  constructor(feed, broadcast) {
    this.#feed = feed;
    this.#broadcast = broadcast;
    byId('like').addEventListener('click', () => this.#press());
  }

  // What the room says; a press counts at once and is not taken back by an older count.
  render(count, isConnected) {
    this.#count = count;
    const button = byId('like');
    show(button, this.#offered && isConnected && (count !== undefined || this.#feed.has('chat')));
    setText(byId('like-count'), number((count ?? 0) + this.#pressed));
  }

  #press() {
    if (this.#pressed >= COUNT_MAX) return;
    this.#pressed += 1;
    this.render(this.#count, true);
    this.#timer ??= setTimeout(() => this.#send(), SUM_MS);
  }

  async #send() {
    const count = this.#pressed;
    try {
      const answer = await this.#feed.rpc('like', { broadcast: this.#broadcast, count });
      if (answer?.refused?.retry_after_ms) {
        this.#timer = setTimeout(() => this.#send(), answer.refused.retry_after_ms);
        return;
      }
      if (answer?.like_count !== undefined) this.#count = Math.max(this.#count ?? 0, answer.like_count);
    } catch (error) {
      // a server without likes: the button goes, and nobody is bothered
      if (error?.code && !error.temporary) this.#offered = false;
    }
    this.#pressed -= count;
    this.#timer = this.#pressed > 0 ? setTimeout(() => this.#send(), SUM_MS) : null;
    this.render(this.#count, true);
  }
}
