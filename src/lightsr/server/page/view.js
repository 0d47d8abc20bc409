// Where two pictures of one size are looked at: zoom and place, and the divider between them.
// Both get the same transform, so that they cannot come apart.

const MOST_ZOOM = 32;
const STEP = 1.5;
const PAN = 60;

export class View {
  /** Where the divider stands, 0 to 1, across what is seen of the picture. */
  divider = 0.5;
  #stage;
  #onChange;
  #size = { width: 1, height: 1 };
  #scale = 1;
  #x = 0;
  #y = 0;
  #isFitted = true;
  /** @type {Map<number, {x: number, y: number}>} */
  #pointers = new Map();
  #isDividing = false;

  /**
   * @param {HTMLElement} stage @param {HTMLElement} handle
   * @param {() => void} onChange called when zoom or divider is another
   */
  constructor(stage, handle, onChange) {
    this.#stage = stage;
    this.#onChange = onChange;
    new ResizeObserver(() => (this.#isFitted ? this.fit() : this.#apply())).observe(stage);
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event, handle));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
    stage.addEventListener("dblclick", (event) => this.#doubleClick(event));
    stage.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Screen pixels per picture pixel. */
  get zoom() {
    return this.#scale * devicePixelRatio;
  }

  /** Show pictures of another size. @param {{width: number, height: number}} size */
  reset(size) {
    this.#size = size;
    this.divider = 0.5;
    this.fit();
  }

  fit() {
    this.#scale = this.#fitting();
    this.#isFitted = true;
    this.#apply();
  }

  /** @param {number} divider 0 to 1 */
  divide(divider) {
    this.divider = Math.min(1, Math.max(0, divider));
    this.#apply();
  }

  /** One picture pixel is one of the screen. */
  actual() {
    this.#zoomTo(1 / devicePixelRatio);
  }

  zoomIn() {
    this.#zoomTo(this.#scale * STEP);
  }

  zoomOut() {
    this.#zoomTo(this.#scale / STEP);
  }

  /** The whole picture. Small ones grow by whole numbers, where single screen pixels are seen. */
  #fitting() {
    const { clientWidth, clientHeight } = this.#stage;
    const fitting = Math.min(clientWidth / this.#size.width, clientHeight / this.#size.height);
    const onScreen = fitting * devicePixelRatio;
    return onScreen > 1 && devicePixelRatio < 2 ? Math.floor(onScreen) / devicePixelRatio : fitting;
  }

  /** @param {number} scale @param {{x: number, y: number}} around what stays, in the stage */
  #zoomTo(scale, around = { x: this.#stage.clientWidth / 2, y: this.#stage.clientHeight / 2 }) {
    const least = Math.min(this.#fitting(), 1 / devicePixelRatio);
    const next = Math.min(MOST_ZOOM / devicePixelRatio, Math.max(least, scale));
    const ratio = next / this.#scale;
    this.#x = around.x - (around.x - this.#x) * ratio;
    this.#y = around.y - (around.y - this.#y) * ratio;
    this.#scale = next;
    this.#isFitted = next === this.#fitting();
    this.#apply();
  }

  #apply() {
    const { clientWidth, clientHeight, style } = this.#stage;
    const [width, height] = [this.#size.width * this.#scale, this.#size.height * this.#scale];
    this.#x = kept(this.#x, width, clientWidth);
    this.#y = kept(this.#y, height, clientHeight);
    const [left, right] = this.#seen();
    style.setProperty("--x", `${this.#x}px`);
    style.setProperty("--y", `${this.#y}px`);
    style.setProperty("--scale", String(this.#scale));
    style.setProperty("--divider", `${left + this.divider * (right - left)}px`);
    this.#stage.toggleAttribute("data-pixels", this.zoom > 1.01);
    this.#stage.toggleAttribute("data-movable", !this.#fits);
    this.#onChange();
  }

  get #fits() {
    const { clientWidth, clientHeight } = this.#stage;
    const [width, height] = [this.#size.width * this.#scale, this.#size.height * this.#scale];
    return width <= clientWidth + 1 && height <= clientHeight + 1;
  }

  /** The picture's left and right edge in the stage, as far as they are seen. */
  #seen() {
    const right = this.#x + this.#size.width * this.#scale;
    return [Math.max(0, this.#x), Math.min(this.#stage.clientWidth, right)];
  }

  #wheel(/** @type {WheelEvent} */ event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.#zoomTo(this.#scale * Math.exp(-0.002 * lines * event.deltaY), this.#place(event));
  }

  #down(/** @type {PointerEvent} */ event, /** @type {HTMLElement} */ handle) {
    if (event.button !== 0) return;
    const target = /** @type {Node} */ (event.target);
    this.#stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#place(event));
    this.#isDividing = this.#pointers.size === 1 && (handle.contains(target) || this.#fits);
    if (this.#isDividing && !handle.contains(target)) this.#divideAt(this.#place(event).x);
  }

  #move(/** @type {PointerEvent} */ event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#place(event);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    if (other) this.#pinch(before, now, other);
    else if (this.#isDividing) this.#divideAt(now.x);
    else this.#pan(now.x - before.x, now.y - before.y);
  }

  #pinch(before, now, other) {
    const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
    this.#isDividing = false;
    this.#pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.#zoomTo((this.#scale * apart(now)) / apart(before), middle);
  }

  #doubleClick(/** @type {MouseEvent} */ event) {
    if (this.#isFitted) this.#zoomTo(Math.max(2 * this.#scale, 1 / devicePixelRatio), this.#place(event));
    else this.fit();
  }

  #key(/** @type {KeyboardEvent} */ event) {
    if (event.target !== this.#stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      "+": () => this.zoomIn(),
      "=": () => this.zoomIn(),
      "-": () => this.zoomOut(),
      0: () => this.fit(),
      1: () => this.actual(),
      ArrowLeft: () => this.#pan(PAN, 0),
      ArrowRight: () => this.#pan(-PAN, 0),
      ArrowUp: () => this.#pan(0, PAN),
      ArrowDown: () => this.#pan(0, -PAN),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #pan(/** @type {number} */ x, /** @type {number} */ y) {
    this.#x += x;
    this.#y += y;
    this.#apply();
  }

  #divideAt(/** @type {number} */ x) {
    const [left, right] = this.#seen();
    this.divide((x - left) / (right - left || 1));
  }

  #place(/** @type {MouseEvent} */ event) {
    const { left, top } = this.#stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }
}

/** Where a picture begins: in the middle of the room, or so that it fills the room. */
function kept(/** @type {number} */ start, /** @type {number} */ length, /** @type {number} */ room) {
  if (length <= room) return (room - length) / 2;
  return Math.min(0, Math.max(room - length, start));
}
