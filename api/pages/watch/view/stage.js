// The head of the page: title, whether the show is on, how many watch, the video, the connection.

import { byId, setAttribute, setText, show } from '../dom.js';
import { number } from '../format.js';
import { t } from '../words/index.js';

const BACK_MS = 3_000;

export class Stage {
  #room;
  #status = 'connecting';
  #wasLost = false;
  #timer = null;

  constructor(room, videoAddress) {
    this.#room = room;
    const video = byId('video');
    if (videoAddress) {
      // a show that is not on has no video yet: the poster stays until there is a picture
      video.addEventListener('loadeddata', () => {
        show(video, true);
        show(byId('poster'), false);
      });
      video.src = videoAddress;
    }
  }

  get isConnected() {
    return this.#status === 'connected' || this.#status === 'back';
  }

  // How the connection stands; `back` is told for a moment after it was lost.
  status(name) {
    clearTimeout(this.#timer);
    if (name === 'connected') {
      this.#status = this.#wasLost ? 'back' : 'connected';
      this.#wasLost = false;
      this.#timer = setTimeout(() => this.status('connected'), BACK_MS);
    } else {
      this.#wasLost ||= ['reconnecting', 'unreachable'].includes(name);
      this.#status = name === 'reconnecting' && !navigator.onLine ? 'offline' : name;
    }
    this.render();
  }

  render() {
    const banner = byId('banner');
    setText(banner, this.#status === 'connected' ? '' : t(this.#status));
    show(banner, this.#status !== 'connected');
    setAttribute(document.body, 'data-connection', this.#status);
    if (!this.#room.known) return;
    const { title, status } = this.#room.broadcast;
    setText(byId('title'), title);
    if (document.title !== title) document.title = title;
    setText(byId('show-status'), t(`show_${status}`));
    setAttribute(byId('show-status'), 'data-status', status);
    setText(byId('poster-text'), t(`poster_${status}`));
    const count = this.#room.viewerCount;
    show(byId('viewers'), count !== undefined);
    setText(byId('viewers'), count === undefined ? '' : t('viewers', { count: number(count) }));
  }
}
