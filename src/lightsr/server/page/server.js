// The server's API: requests, what goes wrong with them, and when to try again.

import { sentence } from "./words.js";

const UNREACHABLE_WAITS = [1, 2, 4, 8, 15];
const LAST_TRY = 5;

/** Something went wrong, said in one sentence. */
export class Problem extends Error {
  /**
   * @param {string} kind the end of the problem's type: "queue-full"
   * @param {string} detail
   * @param {number | null} retryAfter seconds
   */
  constructor(kind, detail, retryAfter = null) {
    super(sentence(detail));
    this.kind = kind;
    this.retryAfter = retryAfter;
  }

  /** @param {{type: string, detail: string}} document @param {number | null} retryAfter */
  static of(document, retryAfter = null) {
    return new Problem(document.type.split(":").at(-1) ?? "", document.detail, retryAfter);
  }

  /** Seconds to wait before another try; null where there should be none. @param {number} failures */
  pause(failures) {
    if (this.kind === "queue-full") return this.retryAfter ?? 2;
    if (this.kind === "unreachable") return UNREACHABLE_WAITS[failures] ?? null;
    if (this.kind === "not-serving" && failures < LAST_TRY) return this.retryAfter ?? 5;
    return null;
  }
}

const unreachable = () =>
  new Problem("unreachable", "the server does not answer; is it running, and the network up?");

/**
 * Do something until the server has the time for it and can be reached.
 * @template T
 * @param {() => Promise<T>} action
 * @param {{signal: AbortSignal, onWait: (problem: Problem, seconds: number) => void}} patience
 * @returns {Promise<T>}
 */
export async function insisting(action, { signal, onWait }) {
  for (let failures = 0; ; ) {
    try {
      return await action();
    } catch (problem) {
      const pause = problem instanceof Problem ? problem.pause(failures) : null;
      if (signal.aborted || pause === null) throw problem;
      if (problem.kind !== "queue-full") failures += 1;
      for (let left = pause; left > 0; left--) {
        onWait(problem, Math.ceil(left));
        await second(signal, Math.min(1, left));
      }
    }
  }
}

/** @param {AbortSignal} signal @param {number} seconds */
function second(signal, seconds) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

export class Server {
  /** Kept in memory only. @type {string | null} */
  #token = null;
  /** @type {Promise<void> | null} */
  #asking = null;
  #askForToken;

  /** @param {(wasWrong: boolean) => Promise<string | null>} askForToken null: there is none */
  constructor(askForToken) {
    this.#askForToken = askForToken;
  }

  /** What may be asked for, and the limits. */
  async offer() {
    return (await this.#request("v1/models")).json();
  }

  /**
   * @param {File} file @param {Record<string, string>} options
   * @param {AbortSignal} signal @param {(part: number) => void} onSent
   */
  async createJob(file, options, signal, onSent) {
    const path = `v1/jobs?${new URLSearchParams(options)}`;
    return (await this.#authorised((headers) => send(path, file, headers, signal, onSent))).json();
  }

  /**
   * Hear of a job until it is over.
   * @param {string} id @param {AbortSignal} signal @param {(job: any) => void} onNews
   */
  async follow(id, signal, onNews) {
    const response = await this.#request(`v1/jobs/${id}/events`, { signal });
    for await (const job of events(response)) {
      onNews(job);
      if (job.state !== "queued" && job.state !== "running") return job;
    }
    throw unreachable();
  }

  /** @param {string} id @param {AbortSignal} signal */
  async result(id, signal) {
    return blobOf(await this.#request(`v1/jobs/${id}/result`, { signal }));
  }

  /** Cancel a job or drop its result; that may also happen as the page goes. @param {string} id */
  forget(id) {
    this.#request(`v1/jobs/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  /** @param {File} file @param {Record<string, string>} options @param {AbortSignal} signal */
  async enlarged(file, options, signal) {
    const path = `v1/upscale?${new URLSearchParams(options)}`;
    const headers = { "Content-Type": "application/octet-stream" };
    return blobOf(await this.#request(path, { method: "POST", body: file, headers, signal }));
  }

  /** @param {string} path @param {RequestInit} init */
  #request(path, init = {}) {
    return this.#authorised(async (headers) => {
      try {
        return await fetch(path, { ...init, headers: { ...init.headers, ...headers } });
      } catch (error) {
        throw init.signal?.aborted ? error : unreachable();
      }
    });
  }

  /** @param {(headers: Record<string, string>) => Promise<Response>} ask */
  async #authorised(ask) {
    for (;;) {
      const token = this.#token;
      const response = await ask(token === null ? {} : { Authorization: `Bearer ${token}` });
      if (response.status !== 401) return checked(response);
      await this.#newToken(token);
    }
  }

  /** All that were refused wait for one answer. @param {string | null} refused */
  async #newToken(refused) {
    if (this.#token !== refused) return;
    this.#asking ??= this.#askForToken(refused !== null).then((token) => {
      this.#asking = null;
      if (token === null) throw new Problem("unauthorized", "this server needs an access token");
      this.#token = token;
    });
    await this.#asking;
  }
}

/** Upload with progress, which fetch does not tell. @returns {Promise<Response>} */
function send(path, file, headers, signal, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.loaded / event.total);
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(signal.reason);
    request.onload = () => {
      const told = ["Content-Type", "Retry-After"].map((name) => [name, request.getResponseHeader(name)]);
      resolve(new Response(request.responseText, {
        status: request.status,
        headers: told.filter(([, value]) => value !== null),
      }));
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    if (signal.aborted) reject(signal.reason);
    else request.send(file);
  });
}

/** @param {Response} response */
async function checked(response) {
  if (response.ok) return response;
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    throw Problem.of(await response.json(), retryAfter);
  }
  if ([502, 503, 504].includes(response.status)) throw unreachable();
  throw new Problem("unknown", `the server answered with status ${response.status}`);
}

/** @param {Response} response */
async function blobOf(response) {
  try {
    return await response.blob();
  } catch {
    throw unreachable();
  }
}

/** The data of server-sent events. @param {Response} response */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (text + value).split(/\r?\n/);
      text = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data:")) yield JSON.parse(line.slice(5));
    }
  } catch {
    throw unreachable();
  } finally {
    reader.cancel().catch(() => {});
  }
}
