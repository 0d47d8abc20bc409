// Files from what was dropped or pasted; folders are walked.

const PICTURES = /\.(png|apng|jpe?g|jpe|jfif|webp|tiff?|avif|heic|heif|hif|gif|bmp|dib)$/i;

/**
 * Must be called while the event is handled: what was transferred is gone afterwards.
 * @param {DataTransfer | null} transfer @returns {Promise<File[]>}
 */
export async function filesOf(transfer) {
  if (!transfer) return [];
  const found = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => {
      const entry = item.webkitGetAsEntry?.();
      return entry?.isDirectory ? walked(entry) : item.getAsFile();
    });
  return (await Promise.all(found)).flat().filter((file) => file !== null);
}

/** The files in a folder that are called like pictures. @returns {Promise<File[]>} */
async function walked(/** @type {any} */ folder) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return files;
    for (const entry of entries) {
      if (entry.isDirectory) files.push(...(await walked(entry)));
      else if (PICTURES.test(entry.name)) {
        files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      }
    }
  }
}
