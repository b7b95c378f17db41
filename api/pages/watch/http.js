// Requests to this page's own server.

const ANSWER_WITHIN_MS = 15_000;

// The server answered no: `code` is stable, `body` is the whole problem (RFC 9457).
export class Problem extends Error {
  constructor(response, body) {
    super(body?.code ?? `http_${response.status}`);
    this.status = response.status;
    this.code = body?.code ?? `http_${response.status}`;
    this.body = body ?? {};
    this.location = response.headers.get('Location');
    this.retryAfterMs = retryAfter(response.headers.get('Retry-After'));
  }
}

// No answer came: what was asked may have happened or not.
export class Unreachable extends Error {}

function retryAfter(header) {
  const seconds = Number(header);
  return header !== null && Number.isFinite(seconds) ? seconds * 1000 : null;
}

async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (response.ok) throw error; // an answer that was cut short is none
    return null;
  }
}

export async function call(method, path, { token = null, key = null, body } = {}) {
  const headers = { Accept: 'application/json' };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (key !== null) headers['Idempotency-Key'] = key;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    answer = await read(response);
  } catch (error) {
    throw new Unreachable('no answer', { cause: error });
  }
  if (!response.ok) throw new Problem(response, answer);
  return answer;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Random, also on a page that was not loaded over TLS, where `crypto.randomUUID` is absent.
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
