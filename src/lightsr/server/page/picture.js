// One picture's way: sent, enlarged, fetched; or cancelled, or failed with a reason.

import { insisting, Problem } from "./server.js";
import { bytes, resultName, sentence, wholeSeconds } from "./words.js";

/**
 * @typedef {"waiting" | "sending" | "queued" | "running" | "fetching"} Going
 * @typedef {Going | "done" | "failed" | "cancelled"} State
 * @typedef {{scale: string, model: string, format: string}} Options format "" is the original's own
 * @typedef {{blob: Blob, url: string, name: string, job: any}} Result
 */

export class Picture extends EventTarget {
  /** @type {State} */
  state = "waiting";
  progress = 0;
  /** Seconds, about. @type {number | null} */
  secondsLeft = null;
  /** How many are taken first, while it waits. @type {number | null} */
  ahead = null;
  /** Why it waits longer than it should, or failed. */
  note = "";
  /** @type {Result | null} */
  result = null;
  #stop = new AbortController();
  /** @type {string | null} */
  #job = null;
  #server;
  #limits;

  /**
   * @param {File} file @param {Options} options
   * @param {import("./server.js").Server} server @param {{upload_bytes: number}} limits
   */
  constructor(file, options, server, limits) {
    super();
    this.file = file;
    this.options = options;
    this.#server = server;
    this.#limits = limits;
  }

  get name() {
    return this.file.name;
  }

  get isOver() {
    return ["done", "failed", "cancelled"].includes(this.state);
  }

  /** Begin anew. @param {Options} options */
  reset(options) {
    this.#drop();
    this.#stop = new AbortController();
    this.options = options;
    this.#change({ state: "waiting", progress: 0, secondsLeft: null, ahead: null, note: "" });
  }

  /**
   * Say what is ahead while it waits for its turn here.
   * @param {number} ahead @param {number | null} seconds
   */
  expect(ahead, seconds) {
    if (this.state === "waiting" && !this.note) this.#change({ ahead, secondsLeft: seconds });
  }

  /** Have it enlarged; never rejects. */
  async enlarge() {
    const { signal } = this.#stop;
    try {
      await this.#check();
      const { job, blob } = await this.#enlargedTwiceAtMost(signal);
      if (signal.aborted) throw signal.reason;
      const name = resultName(this.name, job.scale, job.format);
      this.result = { blob, url: URL.createObjectURL(blob), name, job };
      this.#change({ state: "done", progress: 1, note: "" });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) console.error(error);
      const note = error instanceof Problem ? error.message : "Something went wrong in this page.";
      this.#change({ state: "failed", note });
    }
    this.forgetJob();
  }

  cancel() {
    this.#stop.abort();
    this.forgetJob();
    if (!this.isOver) this.#change({ state: "cancelled", note: "" });
  }

  /** Give back all that is held for it. */
  discard() {
    this.cancel();
    this.#drop();
  }

  forgetJob() {
    if (this.#job !== null) this.#server.forget(this.#job);
    this.#job = null;
  }

  /** The same picture by another model, as a PNG. @param {string} model @param {AbortSignal} signal */
  otherwise(model, signal) {
    const options = { scale: this.options.scale, model, format: "png" };
    const patience = { signal, onWait: () => {} };
    return insisting(() => this.#server.enlarged(this.file, options, signal), patience);
  }

  async #check() {
    const most = this.#limits.upload_bytes;
    if (this.file.size > most) {
      const detail = `the file has ${bytes(this.file.size)}, and this server takes ${bytes(most)} at most`;
      throw new Problem("too-large", detail);
    }
    try {
      await this.file.slice(0, 1).arrayBuffer();
    } catch {
      throw new Problem("unreadable", "the file is no longer there, or may not be read");
    }
  }

  /** A server that was started anew has forgotten the job. @param {AbortSignal} signal */
  async #enlargedTwiceAtMost(signal) {
    try {
      return await this.#enlarged(signal);
    } catch (error) {
      if (!(error instanceof Problem && error.kind === "not-found")) throw error;
      return this.#enlarged(signal);
    }
  }

  /** @param {AbortSignal} signal */
  async #enlarged(signal) {
    const server = this.#server;
    const patience = {
      signal,
      onWait: (/** @type {Problem} */ problem, /** @type {number} */ seconds) =>
        this.#change({ note: `${waiting(problem)} Trying again in ${wholeSeconds(seconds)}.` }),
    };
    const asked = Object.fromEntries(Object.entries(this.options).filter(([, value]) => value));
    const created = await insisting(() => {
      this.#change({ state: "sending", progress: 0, ahead: null, secondsLeft: null, note: "" });
      return server.createJob(this.file, asked, signal, (progress) => this.#change({ progress }));
    }, patience);
    if (signal.aborted) server.forget(created.id);
    signal.throwIfAborted();
    this.#job = created.id;
    const job = await insisting(
      () => server.follow(created.id, signal, (news) => this.#hear(news)),
      patience,
    );
    if (job.problem) throw Problem.of(job.problem);
    this.#change({ state: "fetching", progress: 1, secondsLeft: null });
    const blob = await insisting(() => server.result(created.id, signal), patience);
    return { job, blob };
  }

  #hear(/** @type {any} */ job) {
    if (job.state !== "queued" && job.state !== "running") return;
    const { state, progress, ahead, seconds_left: secondsLeft } = job;
    this.#change({ state, progress, ahead, secondsLeft, note: "" });
  }

  #drop() {
    if (this.result) URL.revokeObjectURL(this.result.url);
    this.result = null;
  }

  #change(/** @type {object} */ facts) {
    Object.assign(this, facts);
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {Problem} problem */
function waiting(problem) {
  if (problem.kind === "queue-full") return "The server has as many pictures as it takes.";
  if (problem.kind === "unreachable") return "The server does not answer.";
  return sentence(problem.message);
}
