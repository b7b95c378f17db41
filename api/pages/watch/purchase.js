// One press on *buy*, from the press to an answer that is certain. Whatever is not certain is asked
// again with the same key, so that a press is never two orders.

import { Problem, Unreachable, call, pause, randomKey } from './http.js';

const TRY_FOR_MS = 60_000;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 4_000;

// Nothing was decided: the same key may be sent again.
const UNCERTAIN = new Set(['outcome_unknown', 'idempotency_in_flight', 'timeout', 'internal']);
// Nothing was taken, and a moment later it may work.
const NOT_NOW = new Set(['stock_unavailable', 'unavailable', 'shutting_down', 'decision_pending']);

// `phase`: idle, sending, busy (nothing taken, asking again), unsure (asking again), unanswered
// (given up asking; the key is kept), refused (with `problem`), accepted (with `order`).
export class Purchase {
  phase = 'idle';
  problem = null;
  order = null;
  request = null;
  until = 0;
  #key = null;
  #turn = 0;
  #session;
  #changed;

  constructor(session, changed) {
    this.#session = session;
    this.#changed = changed;
  }

  get underWay() {
    return ['sending', 'busy', 'unsure'].includes(this.phase);
  }

  // Seconds until the server wants to be asked again, after *too many requests*.
  get waits() {
    return Math.max(0, Math.ceil((this.until - Date.now()) / 1000));
  }

  async press(request) {
    if (this.underWay || this.waits > 0) return;
    this.request = request;
    this.#key = randomKey();
    await this.#send();
  }

  // Asks again for the press that was never answered.
  async again() {
    if (this.phase === 'unanswered') await this.#send();
  }

  // The order that an uncertain answer named has arrived over the socket.
  notice(order) {
    const named = this.problem?.location;
    if (['unsure', 'unanswered'].includes(this.phase) && named?.endsWith(`/${order.id}`)) {
      this.#accept(order);
    }
  }

  forget() {
    if (this.underWay) return;
    this.#set('idle');
  }

  #set(phase, { problem = null, order = null } = {}) {
    Object.assign(this, { phase, problem, order });
    this.#changed();
  }

  #accept(order) {
    this.#turn += 1;
    this.#set('accepted', { order });
  }

  async #send() {
    this.#turn += 1;
    const turn = this.#turn;
    const started = Date.now();
    let wait = PAUSE_MS_MIN;
    this.#set('sending');
    while (turn === this.#turn) {
      const answer = await this.#ask();
      if (turn !== this.#turn) return;
      if (!(answer instanceof Error)) return this.#accept(answer);
      const phase = standing(answer);
      if (phase === 'refused') return this.#refuse(answer);
      if (Date.now() - started > TRY_FOR_MS) return this.#set('unanswered', { problem: this.#named(answer) });
      this.#set(this.phase === 'unsure' ? 'unsure' : phase, { problem: this.#named(answer) });
      await pause(Math.max(answer.retryAfterMs ?? 0, wait) * (1 + Math.random() / 4));
      wait = Math.min(wait * 2, PAUSE_MS_MAX);
    }
  }

  // The problem that names where the order will be outlives those that name nothing.
  #named(problem) {
    return problem.location || !this.problem?.location ? problem : this.problem;
  }

  async #ask() {
    const { token } = this.#session;
    try {
      return await call('POST', '/v1/orders', { token, key: this.#key, body: this.request.body });
    } catch (error) {
      return error;
    }
  }

  #refuse(problem) {
    if (problem.code === 'rate_limited') this.until = Date.now() + (problem.retryAfterMs ?? 1000);
    this.#set('refused', { problem });
  }
}

function standing(error) {
  if (error instanceof Unreachable) return 'unsure';
  if (!(error instanceof Problem)) return 'refused';
  if (UNCERTAIN.has(error.code)) return 'unsure';
  if (NOT_NOW.has(error.code)) return 'busy';
  return error.status >= 500 ? 'unsure' : 'refused';
}
