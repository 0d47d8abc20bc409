// Asking for the server's token, which is kept by nobody but the page in memory.

const part = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/**
 * @param {boolean} wasWrong whether one was given already
 * @returns {Promise<string | null>} null where the question was closed
 */
export function askForToken(wasWrong) {
  const dialog = /** @type {HTMLDialogElement} */ (part("token-dialog"));
  if (wasWrong) part("token-note").textContent = "The server did not take that token. Please try another.";
  dialog.showModal();
  return new Promise((resolve) => {
    const over = new AbortController();
    const { signal } = over;
    let token = null;
    part("token-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      token = part("token").value.trim();
      dialog.close();
    }, { signal });
    part("token-cancel").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => {
      over.abort();
      part("token").value = "";
      resolve(token || null);
    }, { signal });
  });
}
