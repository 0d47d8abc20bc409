// The page: pictures come in, rows and the comparison show them, results go out.

import { Comparison } from "./comparison.js";
import { filesOf } from "./files.js";
import { OptionsForm } from "./options.js";
import { Picture } from "./picture.js";
import { Queue } from "./queue.js";
import { Row, said } from "./row.js";
import { Problem, Server } from "./server.js";
import { askForToken } from "./token.js";
import { bytes, count, distinct } from "./words.js";
import { zip } from "./zip.js";

const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

const server = new Server(askForToken);
const queue = new Queue();
const comparison = new Comparison();
/** @type {Row[]} */
let rows = [];
/** Null until the server has said what it offers. @type {{limits: any, options: OptionsForm} | null} */
let offer = null;
let begun = begin();

async function begin() {
  try {
    const told = await server.offer();
    const { upload_bytes: most, input_pixels: pixels } = told.limits;
    part("limits").textContent = `Up to ${bytes(most)} and ${Math.round(pixels / 1e6)} megapixels each.`;
    complain("");
    offer = { limits: told.limits, options: new OptionsForm(told, refresh) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    complain(error.message, () => (begun = begin()));
  }
}

/** @param {File[]} files */
async function add(files) {
  await begun;
  if (!offer) await (begun = begin());
  if (!offer) return;
  if (!files.length) {
    complain("There is no picture in that. Drop files, not links: only your own pictures are read.");
    return;
  }
  complain("");
  document.body.dataset.state = "working";
  for (const file of files) {
    const picture = new Picture(file, offer.options.value, server, offer.limits);
    const row = new Row(picture, { compare: show, cancel, again, remove });
    rows.push(row);
    part("list").append(row.element);
    picture.addEventListener("change", () => follow(row));
    queue.add(picture);
  }
  announce(`${count(files.length, "picture")} added`);
  refresh();
}

/** Tell of what has become of a picture. @param {Row} row */
function follow({ picture }) {
  if (picture.state === "failed") announce(`${picture.name}: ${picture.note}`);
  if (picture.state === "done") {
    announce(`${picture.name} is done: ${said(picture)}`);
    if (comparison.picture === null) comparison.show(picture);
  }
  if (picture.isOver) refresh();
}

/** @param {Picture} picture */
function show(picture) {
  comparison.show(picture);
  refresh();
  part("comparison").scrollIntoView({ block: "nearest" });
}

/** @param {Picture} picture */
function cancel(picture) {
  picture.cancel();
  announce(`${picture.name} is cancelled`);
  rowOf(picture)?.focus();
}

/** @param {Picture} picture */
function again(picture) {
  if (!offer) return;
  comparison.forget(picture);
  if (comparison.picture === picture) comparison.clear();
  picture.reset(offer.options.value);
  queue.add(picture);
  refresh();
  rowOf(picture)?.focus();
}

/** @param {Picture} picture */
function remove(picture) {
  const at = rows.findIndex((row) => row.picture === picture);
  release(picture);
  picture.discard();
  rows[at].element.remove();
  rows = rows.filter((row) => row.picture !== picture);
  announce(`${picture.name} is removed`);
  refresh();
  (rows[at] ?? rows[at - 1] ?? part("choose")).focus();
}

function clear() {
  for (const { picture, element } of rows) {
    release(picture);
    picture.discard();
    element.remove();
  }
  rows = [];
  announce("The list is empty");
  refresh();
  part("choose").focus();
}

/** Show another picture, if there is one, before this one goes. @param {Picture} picture */
function release(picture) {
  comparison.forget(picture);
  if (comparison.picture !== picture) return;
  const other = rows.find((row) => row.picture !== picture && row.picture.state === "done");
  if (other) comparison.show(other.picture);
  else comparison.clear();
}

async function downloadAll() {
  const button = /** @type {HTMLButtonElement} */ (part("download-all"));
  const results = rows.flatMap(({ picture }) => picture.result ?? []);
  const names = distinct(results.map(({ name }) => name));
  const files = results.map(({ blob }, index) => ({ name: names[index], blob }));
  button.disabled = true;
  try {
    const blob = await zip(files, (done) => (button.textContent = `Packing ${done} of ${files.length}`));
    const link = document.createElement("a");
    Object.assign(link, { href: URL.createObjectURL(blob), download: "lightsr.zip" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    complain("Together they are more than a zip can hold. Download them one by one.");
  } finally {
    button.disabled = false;
    refresh();
  }
}

/** Bring everything that depends on all pictures up to date. */
function refresh() {
  const done = rows.filter((row) => row.picture.state === "done").length;
  const over = rows.filter((row) => row.picture.isOver).length;
  document.body.dataset.state = rows.length ? "working" : "empty";
  part("count").textContent =
    over < rows.length ? `${over} of ${rows.length} done` : count(rows.length, "picture");
  document.title = over < rows.length ? `${over} of ${rows.length} · lightsr` : "lightsr";
  const all = /** @type {HTMLButtonElement} */ (part("download-all"));
  all.hidden = done < 2;
  if (!all.disabled) all.textContent = `Download ${done === rows.length ? "all" : done} as zip`;
  for (const row of rows) {
    row.markShown(row.picture === comparison.picture);
    if (offer) row.offerAgain(offer.options.value);
  }
}

const rowOf = (/** @type {Picture} */ picture) => rows.find((row) => row.picture === picture);

/** Say something to those who do not see the page. @param {string} text */
function announce(text) {
  part("news").textContent = text;
}

/**
 * Say what is wrong with the page as a whole; "" takes it back.
 * @param {string} text @param {() => void} [retry]
 */
function complain(text, retry) {
  const alert = part("alert");
  alert.hidden = !text;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = retry ? "Try again" : "Close";
  button.addEventListener("click", retry ?? (() => complain("")));
  alert.replaceChildren(text, button);
}

const files = /** @type {HTMLInputElement} */ (part("files"));
part("choose").addEventListener("click", () => files.click());
files.addEventListener("change", () => {
  if (files.files?.length) add([...files.files]);
  files.value = "";
});
part("download-all").addEventListener("click", downloadAll);
part("clear").addEventListener("click", clear);
document.addEventListener("paste", async (event) => {
  if (!(event.target instanceof HTMLInputElement)) add(await filesOf(event.clipboardData));
});

let entered = 0;
const mark = () => document.body.toggleAttribute("data-dragging", entered > 0);
document.addEventListener("dragenter", () => (entered++, mark()));
document.addEventListener("dragleave", () => (entered--, mark()));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  entered = 0;
  mark();
  add(await filesOf(event.dataTransfer));
});

addEventListener("pagehide", () => rows.forEach(({ picture }) => picture.forgetJob()));
