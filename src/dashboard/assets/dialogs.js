
// Links with data-dialog lead to a page that asks before something is done. It is shown over this one, and stays a
// page of its own for whoever opens it in another tab, and where the server answers with something else.
const opened = async (address) => {
  const answer = await fetch(address, { redirect: "error" });
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = page.querySelector("main");
  content.querySelector(".crumb")?.remove();
  return content.childNodes;
};

const sheet = (content, opener) => {
  const dialog = document.createElement("dialog");
  dialog.className = "sheet";
  const close = document.createElement("button");
  Object.assign(close, { type: "button", className: "quiet close", textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.append(close, ...content);
  tellRoles(dialog);
  const title = dialog.querySelector("h1");
  if (title) {
    title.id = "sheet-title";
    dialog.setAttribute("aria-labelledby", title.id);
  }
  // What leads back to the page below it closes it.
  dialog.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (event.target !== dialog && link?.pathname !== location.pathname) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
};

if (window.HTMLDialogElement) {
  let busy = false;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    try {
      sheet(await opened(link.href), link);
    } catch {
      location.assign(link.href);
    } finally {
      busy = false;
    }
  });
}
