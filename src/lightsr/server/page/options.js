// What can be chosen: scale, model and format, as far as this server offers them.

const DEFAULT_SCALE = 4;
const TITLES = { png: "PNG", jpg: "JPEG", webp: "WebP", tiff: "TIFF", avif: "AVIF" };

/** @typedef {import("./picture.js").Options} Options */

export class OptionsForm {
  #form = /** @type {HTMLFormElement} */ (document.getElementById("options"));
  #model = /** @type {HTMLSelectElement} */ (document.getElementById("model"));
  /** @type {any[]} */
  #models;

  /** @param {any} offer what the server said @param {() => void} onChange */
  constructor(offer, onChange) {
    // Bicubic is what results are compared with.
    this.#models = offer.models.filter((model) => model.trained);
    const scales = [...new Set(this.#models.flatMap(({ scales }) => scales.map(({ scale }) => scale)))];
    const chosen = scales.includes(DEFAULT_SCALE) ? DEFAULT_SCALE : Math.max(...scales);
    document.getElementById("scales")?.replaceChildren(
      ...scales.sort().map((scale) => segment(scale, scale === chosen)),
    );
    document.getElementById("format")?.replaceChildren(
      new Option("As the original", ""),
      ...offer.formats.map((name) => new Option(TITLES[name] ?? name, name)),
    );
    this.#listModels();
    this.#form.addEventListener("change", (event) => {
      if (/** @type {HTMLInputElement} */ (event.target).name === "scale") this.#listModels();
      onChange();
    });
    this.#form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** @returns {Options} */
  get value() {
    const data = new FormData(this.#form);
    const [scale, model, format] = ["scale", "model", "format"].map((name) => String(data.get(name)));
    return { scale, model, format };
  }

  /** List the models that there are at the chosen scale. */
  #listModels() {
    const { scale, model: before } = this.value;
    this.#model.replaceChildren(
      ...this.#models.flatMap(({ name, title, scales }) =>
        scales
          .filter((weights) => String(weights.scale) === scale)
          .map(({ default: isBest }) => new Option(isBest ? `${title} (best)` : title, name, false, isBest)),
      ),
    );
    if ([...this.#model.options].some((option) => option.value === before)) this.#model.value = before;
  }
}

/** @param {number} scale @param {boolean} isChosen */
function segment(scale, isChosen) {
  const label = document.createElement("label");
  const radio = document.createElement("input");
  Object.assign(radio, { type: "radio", name: "scale", value: String(scale), defaultChecked: isChosen });
  radio.setAttribute("aria-label", `${scale} times`);
  label.append(radio, `×${scale}`);
  return label;
}
