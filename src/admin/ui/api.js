// The only way from the page to the daemon: JSON below api/v1, with the session's cookie and its CSRF token.

const BASE = 'api/v1';
let session = null;
// Ends what is still being read when somebody signs out: its refusal would mean nothing.
let reading = new AbortController();
let lost = () => {};

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message ?? `The daemon answered ${status} without a reason.`);
    this.status = status;
    this.code = error?.code ?? 'unknown';
    this.field = error?.field ?? null;
    this.body = error;
  }
}

export const who = () => session;
export const onSignedOut = (told) => {
  lost = told;
};

const RANK = { viewer: 1, operator: 2, admin: 3 };
export const may = (role) => !role || RANK[session?.role] >= RANK[role];

export function query(values) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(values ?? {})) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== '') given.append(name, one);
  }
  const text = given.toString();
  return text ? `?${text}` : '';
}

// Where a browser fetches a file by itself: a download streams to the disk and never lies in the page's memory.
export const link = (path, values) => `${BASE}${path}${query(values)}`;
export const slug = (text) => encodeURIComponent(text);

async function ask(method, path, { values, body, signal } = {}) {
  const headers = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET' && session?.csrf) headers['x-csrf-token'] = session.csrf;
  const ends = method === 'GET' ? AbortSignal.any([reading.signal, ...(signal ? [signal] : [])]) : signal;
  let response;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(link(path, values), {
      method,
      headers,
      signal: ends,
      body: sent,
      cache: 'no-store',
      credentials: 'same-origin',
    });
  } catch (cause) {
    if (cause.name === 'AbortError') throw cause;
    throw new ApiError(0, {
      code: 'unreachable',
      message: 'The daemon does not answer. Is it running, and is the network there?',
    });
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    /* a proxy's page, perhaps: the status says enough */
  }
  if (response.ok) return answer;
  const error = new ApiError(response.status, answer?.error);
  if (response.status === 401 && path !== '/session' && session !== null) {
    session = null;
    lost();
  }
  throw error;
}

export const get = (path, values, signal) => ask('GET', path, { values, signal });
export const post = (path, body = {}, signal) => ask('POST', path, { body, signal });
export const put = (path, body) => ask('PUT', path, { body });
export const patch = (path, body) => ask('PATCH', path, { body });
export const del = (path, body, values) => ask('DELETE', path, { body, values });

export async function resume() {
  try {
    session = await ask('GET', '/session');
  } catch (error) {
    if (error.status !== 401) throw error;
    session = null;
  }
  return session;
}

export async function signIn(token) {
  session = await ask('POST', '/session', { body: { token } });
  return session;
}

// Fails where the daemon did not hear of it: then the cookie is still good, and whoever leaves has to know.
export async function signOut() {
  reading.abort();
  reading = new AbortController();
  try {
    await ask('DELETE', '/session');
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  session = null;
}

// Work that may outlast a request: waits until the daemon says what came of it. `told` hears how far it is.
export async function job(started, told = () => {}) {
  let now = await started;
  while (now.state === 'running') {
    told(now);
    await new Promise((go) => setTimeout(go, 400));
    now = await get(`/jobs/${now.id}`);
  }
  if (now.state === 'failed')
    throw new ApiError(500, { code: 'job-failed', message: now.error ?? 'The daemon gave it up.' });
  return now.result;
}
