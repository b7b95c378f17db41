// What everybody sees: the broadcast, its offers and their stock, as the `live:` channel has it.

// RFC 7396: members are merged, null removes, anything else replaces.
export function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const RANK = { open: 0, paused: 1, scheduled: 2, closed: 3 };

export class Room {
  #state = {};
  #chosen = null;
  #ahead = 0;

  get known() {
    return this.#state.broadcast !== undefined;
  }

  get broadcast() {
    return this.#state.broadcast ?? {};
  }

  get viewerCount() {
    return this.#state.viewer_count;
  }

  get likeCount() {
    return this.#state.like_count;
  }

  replace(state) {
    this.#state = state;
    this.#setClock(state.server_time);
  }

  patch(patch) {
    this.#state = mergePatch(this.#state, patch);
    this.#setClock(patch.server_time);
  }

  #setClock(serverTime) {
    const time = Date.parse(serverTime ?? '');
    if (!Number.isNaN(time)) this.#ahead = time - Date.now();
  }

  // The server's time: the phone's clock may be wrong, and deadlines are the server's.
  now() {
    return Date.now() + this.#ahead;
  }

  // Every offer, the one to show first: open before paused before scheduled, then the newest.
  get spotlights() {
    const rank = ({ status }) => RANK[status] ?? RANK.closed;
    const begun = (spotlight) => Date.parse(spotlight.opened_at ?? spotlight.created_at ?? '') || 0;
    return Object.values(this.#state.spotlights ?? {}).sort((a, b) => rank(a) - rank(b) || begun(b) - begun(a));
  }

  // The offer on the card: the chosen one until it is closed, else the first.
  get spotlight() {
    const all = this.spotlights;
    const chosen = all.find((spotlight) => spotlight.id === this.#chosen);
    const isStale = chosen?.status === 'closed' && all[0].status !== 'closed';
    return (isStale ? undefined : chosen) ?? all[0] ?? null;
  }

  choose(id) {
    this.#chosen = id;
  }

  // A refusal names the offer that is sold now; it may be ahead of the feed.
  learnOffer(id, offer) {
    const known = this.#state.spotlights?.[id];
    if (!known || !offer || offer.version <= known.offer.version) return;
    const { version, live_price: price, sku_prices: prices } = offer;
    const skus = known.skus.map(({ sku, name }) => ({ sku, name, live_price: prices?.[sku] }));
    this.patch({ spotlights: { [id]: { offer: { version, live_price: price }, skus } } });
  }
}

// The stock of all SKUs together, or of one: remaining + held + sold = limited_quantity, always.
export function stockOf(spotlight, sku = null) {
  const sum = { limited_quantity: 0, remaining: 0, held: 0, sold: 0 };
  for (const [name, stock] of Object.entries(spotlight.inventory ?? {})) {
    if (sku !== null && sku !== name) continue;
    for (const member of Object.keys(sum)) sum[member] += stock[member] ?? 0;
  }
  return sum;
}

export function unitPrice(spotlight, skuName) {
  const sku = spotlight.skus.find(({ sku }) => sku === skuName);
  return sku?.live_price ?? spotlight.offer.live_price;
}
