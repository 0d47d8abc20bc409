// A zip of files that are compressed already: stored as they are, so that nothing is copied.

const MOST = 0xffffffff;
const UTF8_NAMES = 0x0800;

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param {Blob} blob */
async function crc32(blob) {
  let crc = 0xffffffff;
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return ~crc >>> 0;
    for (const byte of value) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  }
}

/** Little-endian fields: [value, bytes]. @param {[number, number][]} fields */
function packed(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, width]) => sum + width, 0)));
  let at = 0;
  for (const [value, width] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return view;
}

/** @param {Date} when @returns {[number, number][]} time and date as MS-DOS has them */
function dosTime(when) {
  const time = (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
  const date = ((when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
  return [[time, 2], [date, 2]];
}

/**
 * @param {{name: string, blob: Blob}[]} files with distinct names
 * @param {(done: number) => void} onProgress called after each file
 * @returns {Promise<Blob>} rejects with RangeError beyond 4 GB, which the plain format cannot hold
 */
export async function zip(files, onProgress = () => {}) {
  const now = dosTime(new Date());
  const content = [];
  const directory = [];
  let offset = 0;
  let listed = 0;
  for (const [index, { name, blob }] of files.entries()) {
    const bytes = new TextEncoder().encode(name);
    /** @type {[number, number][]} */
    const common = [
      [20, 2], [UTF8_NAMES, 2], [0, 2], ...now,
      [await crc32(blob), 4], [blob.size, 4], [blob.size, 4], [bytes.length, 2], [0, 2],
    ];
    const header = packed([[0x04034b50, 4], ...common]);
    const entry = packed([
      [0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4],
    ]);
    content.push(header, bytes, blob);
    directory.push(entry, bytes);
    offset += header.byteLength + bytes.length + blob.size;
    listed += entry.byteLength + bytes.length;
    if (offset + listed > MOST) throw new RangeError("a zip holds 4 GB at most");
    onProgress(index + 1);
  }
  const end = packed([
    [0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2],
    [listed, 4], [offset, 4], [0, 2],
  ]);
  return new Blob([...content, ...directory, end], { type: "application/zip" });
}
