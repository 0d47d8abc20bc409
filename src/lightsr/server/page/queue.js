// Which pictures are with the server: a few at a time, so that 50 do not crowd out everybody else.

/** A browser opens six connections to a host, and a picture takes up to two. */
const AT_ONCE = 3;

/** @typedef {import("./picture.js").Picture} Picture */

export class Queue {
  /** @type {Picture[]} */
  #waiting = [];
  #running = 0;
  /** Seconds that a picture takes, lately. @type {number | null} */
  #usual = null;

  /** @param {Picture} picture */
  add(picture) {
    this.#waiting.push(picture);
    this.#next();
  }

  #next() {
    this.#waiting = this.#waiting.filter((picture) => picture.state === "waiting");
    while (this.#running < AT_ONCE && this.#waiting.length) this.#run(this.#waiting.shift());
    for (const [ahead, picture] of this.#waiting.entries()) {
      const rounds = Math.ceil((ahead + 1) / AT_ONCE) + 1;
      picture.expect(ahead + this.#running, this.#usual === null ? null : this.#usual * rounds);
    }
  }

  async #run(/** @type {Picture} */ picture) {
    this.#running += 1;
    const start = performance.now();
    await picture.enlarge();
    const took = (performance.now() - start) / 1000;
    if (picture.state === "done") this.#usual = this.#usual === null ? took : 0.7 * this.#usual + 0.3 * took;
    this.#running -= 1;
    this.#next();
  }
}
