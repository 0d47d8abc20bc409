// A result beside what bicubic makes of the same picture.

import { Problem } from "./server.js";
import { bytes, duration, list, size } from "./words.js";
import { View } from "./view.js";

const KEPT = 3;

/** @typedef {import("./picture.js").Picture} Picture */

export class Comparison {
  /** @type {Picture | null} */
  picture = null;
  #section = part("comparison");
  #stage = part("stage");
  #slider = /** @type {HTMLInputElement} */ (part("divider"));
  #before = /** @type {HTMLImageElement} */ (part("before"));
  #after = /** @type {HTMLImageElement} */ (part("after"));
  #note = part("stage-note");
  #stop = new AbortController();
  /** What was computed lately, by model; the oldest makes way. @type {Map<Blob, Map<string, Blob>>} */
  #computed = new Map();
  /** @type {string[]} */
  #urls = [];
  #view = new View(this.#stage, part("handle"), () => this.#tell());

  constructor() {
    this.#slider.addEventListener("input", () => this.#view.divide(Number(this.#slider.value) / 100));
    part("handle").addEventListener("mousedown", (event) => {
      event.preventDefault(); // Else the stage would get the focus.
      this.#slider.focus({ preventScroll: true });
    });
    part("zoom-in").addEventListener("click", () => this.#view.zoomIn());
    part("zoom-out").addEventListener("click", () => this.#view.zoomOut());
    part("fit").addEventListener("click", () => this.#view.fit());
    part("actual").addEventListener("click", () => this.#view.actual());
    const whole = part("whole-screen");
    whole.hidden = !document.fullscreenEnabled;
    whole.addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.#section.requestFullscreen();
    });
    document.addEventListener("fullscreenchange", () => {
      whole.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
    });
  }

  /** @param {Picture} picture one that is done */
  async show(picture) {
    this.clear();
    this.picture = picture;
    const { signal } = (this.#stop = new AbortController());
    const { result } = picture;
    if (!result) return;
    const { job } = result;
    this.#section.dataset.state = "result";
    part("shown-name").textContent = picture.name;
    part("shown-facts").textContent = list([
      `${size(job.input)} to ${size(job.output)}`, bytes(result.blob.size), duration(job.seconds),
    ]);
    part("after-label").textContent = job.model;
    this.#before.alt = `${picture.name}, enlarged by bicubic`;
    this.#after.alt = `${picture.name}, enlarged by ${job.model}`;
    for (const image of [this.#before, this.#after]) Object.assign(image, job.output);
    this.#view.reset(job.output);
    try {
      await this.#showAfter(picture, signal);
      await this.#showBefore(picture, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) console.error(error);
      this.#say(error instanceof Problem ? error.message : "This picture cannot be shown here.");
    }
  }

  clear() {
    this.#stop.abort();
    this.picture = null;
    this.#section.dataset.state = "empty";
    for (const image of [this.#before, this.#after]) {
      image.removeAttribute("src");
      image.alt = "";
    }
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.#stage.removeAttribute("data-comparing");
    this.#slider.disabled = true;
    this.#say("");
  }

  /** Let go of what was computed for a picture. @param {Picture} picture */
  forget({ result }) {
    if (result) this.#computed.delete(result.blob);
  }

  async #showAfter(/** @type {Picture} */ picture, /** @type {AbortSignal} */ signal) {
    const { result } = picture;
    if (!result) return;
    if (await canShow(this.#after, result.url)) return;
    const format = result.job.format.toUpperCase();
    this.#say(`This browser cannot show ${format}; waiting for a copy that it can…`);
    await this.#showComputed(this.#after, picture, result.job.model, signal);
  }

  async #showBefore(/** @type {Picture} */ picture, /** @type {AbortSignal} */ signal) {
    this.#say("Computing bicubic to compare with…");
    await this.#showComputed(this.#before, picture, "bicubic", signal);
    this.#say("");
    this.#stage.toggleAttribute("data-comparing", true);
    this.#slider.disabled = false;
    this.#tell();
  }

  /**
   * @param {HTMLImageElement} image @param {Picture} picture
   * @param {string} model @param {AbortSignal} signal
   */
  async #showComputed(image, picture, model, signal) {
    const url = URL.createObjectURL(await this.#compute(picture, model, signal));
    if (signal.aborted) {
      URL.revokeObjectURL(url);
      throw signal.reason;
    }
    this.#urls.push(url);
    if (!(await canShow(image, url)) && !signal.aborted) {
      const detail = "this browser cannot show a picture of that size; download it instead";
      throw new Problem("too-large", detail);
    }
    signal.throwIfAborted();
  }

  /** @param {Picture} picture @param {string} model @param {AbortSignal} signal */
  async #compute(picture, model, signal) {
    const key = /** @type {import("./picture.js").Result} */ (picture.result).blob;
    const known = this.#computed.get(key) ?? new Map();
    if (!known.has(model)) known.set(model, await picture.otherwise(model, signal));
    this.#computed.delete(key);
    this.#computed.set(key, known);
    if (this.#computed.size > KEPT) this.#computed.delete(this.#computed.keys().next().value);
    return known.get(model);
  }

  /** Bring labels up to date with the view. */
  #tell() {
    const shown = Math.round(100 * this.#view.divider);
    this.#slider.value = String(shown);
    this.#slider.setAttribute("aria-valuetext", `${shown} % bicubic, ${100 - shown} % enlarged`);
    part("zoom").textContent = `${Math.round(100 * this.#view.zoom)} %`;
  }

  #say(/** @type {string} */ text) {
    this.#note.textContent = text;
  }
}

/** Put a picture in its place; whether the browser can show it. */
async function canShow(/** @type {HTMLImageElement} */ image, /** @type {string} */ url) {
  image.src = url;
  try {
    await image.decode();
    return true;
  } catch {
    return false;
  }
}

/** @param {string} id @returns {HTMLElement} */
function part(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
