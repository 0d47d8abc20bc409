// A picture as a row of the list: what it looks like, how far along it is, what can be done with it.

import { bytes, count, duration, list, size, timeLeft } from "./words.js";

const THUMBNAIL = 128;
/** Thumbnails are made one at a time: each needs its whole picture decoded for a moment. */
let thumbnails = Promise.resolve();

/** @typedef {import("./picture.js").Picture} Picture */

export class Row {
  #status;
  #bar;
  #canvas;
  #hasThumbnail = false;

  /**
   * @param {Picture} picture
   * @param {Record<"compare" | "cancel" | "again" | "remove", (picture: Picture) => void>} actions
   */
  constructor(picture, actions) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("row"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.picture = picture;
    this.#status = this.#part("status");
    this.#bar = /** @type {HTMLProgressElement} */ (this.#part("bar"));
    this.#canvas = /** @type {HTMLCanvasElement} */ (this.#part("thumbnail"));
    this.#part("name").textContent = picture.name;
    this.#part("name").title = picture.name;
    this.#bar.setAttribute("aria-label", `Progress of ${picture.name}`);
    for (const [name, act] of Object.entries(actions)) {
      const button = this.#part(name);
      button.addEventListener("click", () => act(picture));
      button.setAttribute("aria-label", `${button.title || button.textContent} ${picture.name}`);
    }
    this.#show(picture.file);
    picture.addEventListener("change", () => this.update());
    this.update();
  }

  /** Whether the options above differ from those that it was enlarged with. */
  offerAgain(/** @type {import("./picture.js").Options} */ current) {
    const { options, state } = this.picture;
    const differs = Object.entries(current).some(([name, value]) => options[name] !== value);
    const isRedo = state === "done";
    this.#part("again").hidden = !(state === "failed" || state === "cancelled" || (isRedo && differs));
    this.#part("again").textContent = isRedo ? "Redo" : "Try again";
    this.#part("again").setAttribute("aria-label", `${isRedo ? "Redo" : "Try again"} ${this.picture.name}`);
  }

  markShown(/** @type {boolean} */ isShown) {
    this.element.toggleAttribute("data-shown", isShown);
    this.#part("compare").setAttribute("aria-pressed", String(isShown));
  }

  focus() {
    const buttons = /** @type {NodeListOf<HTMLElement>} */ (this.element.querySelectorAll("button, a"));
    [...buttons].find((button) => !button.hidden)?.focus();
  }

  update() {
    const { picture } = this;
    const { state, result } = picture;
    this.element.dataset.state = state;
    this.#status.textContent = said(picture);
    this.#bar.hidden = picture.isOver;
    this.#bar.value = ["running", "fetching"].includes(state) ? picture.progress : 0;
    this.#part("cancel").hidden = picture.isOver;
    this.#part("remove").hidden = !picture.isOver;
    this.#part("compare").hidden = state !== "done";
    const download = /** @type {HTMLAnchorElement} */ (this.#part("download"));
    download.hidden = result === null;
    download.setAttribute("aria-label", `Download ${result?.name ?? ""}`);
    download.download = result?.name ?? "";
    if (result) download.href = result.url;
    else download.removeAttribute("href");
    if (result && !this.#hasThumbnail) this.#show(result.blob);
  }

  /** Show a small copy, where this browser can read the format. @param {Blob} blob */
  #show(blob) {
    thumbnails = thumbnails.then(async () => {
      if (this.#hasThumbnail) return;
      try {
        const small = await createImageBitmap(blob, { resizeHeight: THUMBNAIL, resizeQuality: "medium" });
        const [width, height] = [small.width, small.height];
        const side = Math.min(width, height);
        this.#canvas.width = this.#canvas.height = side;
        this.#canvas.getContext("2d")?.drawImage(small, (side - width) / 2, (side - height) / 2);
        small.close();
        this.#hasThumbnail = true;
        this.element.dataset.thumbnail = "";
      } catch {
        // The result may be of a format that it can read.
      }
    });
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    const part = this.element.querySelector(`[data-part=${name}]`);
    if (!part) throw new Error(`a row has no ${name}`);
    return /** @type {HTMLElement} */ (part);
  }
}

/** What there is to say of a picture in a line. @param {Picture} picture */
export function said(picture) {
  const { state, note, ahead, result } = picture;
  const left = timeLeft(picture.secondsLeft);
  if (result) {
    const { input, output, model, seconds, notices } = result.job;
    const facts = [
      `${size(input)} to ${size(output)}`, model, bytes(result.blob.size), duration(seconds), ...notices,
    ];
    return list(facts);
  }
  if (note) return note;
  const before = ahead ? `${count(ahead, "picture")} before it` : "";
  const join = (/** @type {string[]} */ ...parts) => parts.filter(Boolean).join(", ");
  switch (state) {
    case "waiting": return join("Waiting", before, left);
    case "sending": return picture.progress < 1 ? `Sending, ${Math.round(100 * picture.progress)} %` : "Sent";
    case "queued": return join("In the queue", before, left);
    case "running": return join("Enlarging", left);
    case "fetching": return "Fetching the result";
    default: return state === "cancelled" ? "Cancelled" : "";
  }
}
