// Who watches. A viewer's token comes in the fragment of the address, which no server sees; it is
// taken out of the address bar at once and kept for this tab only.

const KEPT = 'onair.token';

function storage() {
  try {
    return window.sessionStorage;
  } catch {
    return null; // a frame of another site may have none
  }
}

// The claims are shown, never trusted: the server verifies the token.
function claims(token) {
  try {
    const [, payload] = token.split('.');
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

export class Session {
  constructor() {
    this.token = null;
    this.ranOut = false;
  }

  // Takes the token of the address, or the one that this tab keeps. Tells whether it is a new one.
  take() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const given = fragment.get('token');
    if (given) {
      fragment.delete('token');
      const rest = fragment.toString();
      history.replaceState(history.state, '', location.pathname + location.search + (rest ? `#${rest}` : ''));
      storage()?.setItem(KEPT, given);
      this.ranOut = false;
    }
    const token = given ?? storage()?.getItem(KEPT) ?? null;
    const isNew = token !== this.token;
    this.token = token;
    return isNew;
  }

  // The token is no longer good: the viewer goes on without it.
  end() {
    this.ranOut = this.token !== null;
    this.token = null;
    storage()?.removeItem(KEPT);
  }

  get signedIn() {
    return this.token !== null;
  }

  get viewer() {
    return this.token === null ? null : (claims(this.token).sub ?? null);
  }

  // Who may buy: hosts and moderators watch with their own tokens.
  get mayBuy() {
    return this.token !== null && (claims(this.token).role ?? 'viewer') === 'viewer';
  }
}
