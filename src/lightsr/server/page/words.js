// Numbers and problems, said so that people can read them.

/** Keeps a number and its unit on one line. */
const NBSP = "\u00a0";

/** @param {number} count */
export function bytes(count) {
  if (count < 1000) return `${count}${NBSP}bytes`;
  const isSmall = count < 1000 * 1024;
  const size = count / (isSmall ? 1024 : 1024 ** 2);
  const said = size < 10 ? size.toFixed(1) : Math.round(size).toLocaleString("en");
  return `${said}${NBSP}${isSmall ? "KB" : "MB"}`;
}

/** @param {number} time in seconds */
export function duration(time) {
  if (time < 10) return `${time.toFixed(1)}${NBSP}s`;
  if (time < 90) return `${Math.round(time)}${NBSP}s`;
  const minutes = Math.round(time / 60);
  if (minutes < 60) return `${minutes}${NBSP}min`;
  return `${Math.floor(minutes / 60)}${NBSP}h ${minutes % 60}${NBSP}min`;
}

/** @param {number} time */
export const wholeSeconds = (time) => `${Math.ceil(time)}${NBSP}s`;

/** @param {number | null | undefined} time in seconds */
export function timeLeft(time) {
  if (time === null || time === undefined) return "";
  if (time === 0) return "longer than expected";
  if (time < 2) return "almost done";
  return `about ${time < 10 ? wholeSeconds(time) : duration(time)} left`;
}

/** @param {{width: number, height: number}} area */
export const size = ({ width, height }) => `${width}${NBSP}×${NBSP}${height}`;

/** @param {number} count @param {string} noun */
export const count = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Facts in a row, with no line that begins with a dot. @param {string[]} facts */
export const list = (facts) => facts.join(`${NBSP}· `);

/** The server's sentences begin small and end openly. @param {string} text */
export function sentence(text) {
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

/**
 * What a result is called: photo.jpg becomes photo_x4.png.
 * @param {string} name @param {number} scale @param {string} format
 */
export function resultName(name, scale, format) {
  const stem = name.replace(/\.[^.]+$/, "") || "picture";
  return `${stem}_x${scale}.${format}`;
}

/** Names that are all different, so that one folder can hold them. @param {string[]} names */
export function distinct(names) {
  const taken = new Set();
  return names.map((name) => {
    const [, stem, suffix] = /^(.*?)(\.[^.]*)?$/s.exec(name) ?? ["", name, ""];
    let free = name;
    for (let n = 2; taken.has(free.toLowerCase()); n++) free = `${stem} (${n})${suffix ?? ""}`;
    taken.add(free.toLowerCase());
    return free;
  });
}
