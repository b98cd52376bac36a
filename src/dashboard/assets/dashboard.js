// Makes pages handier; each of them works without it.

// Copy buttons: hidden until there is somebody to press them for.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}

// The time zone of this device, unless somebody chose one.
for (const field of document.querySelectorAll("[data-zone]")) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (here && field.value === "UTC") field.value = here;
}

// The reference is the same page for everybody: it asks this browser for the theme.
if (document.body.classList.contains("inside")) {
  try {
    localStorage.setItem("tradepost.theme", document.documentElement.dataset.theme);
  } catch {
    // no storage: it looks as the browser prefers
  }
}

// On a narrow screen the navigation scrolls: to where one is.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Filters show at once what is chosen.
for (const select of document.querySelectorAll(".filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// One box ticks all of its list, and how many are ticked is told.
for (const label of document.querySelectorAll("[data-all]")) {
  const all = label.querySelector("input");
  const boxes = [...document.querySelectorAll(`input[name="${label.dataset.all}"]`)];
  const told = document.querySelector("[data-ticked]");
  const tell = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    if (told) told.textContent = ticked ? `${ticked} ticked` : "";
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  for (const box of boxes) box.addEventListener("change", tell);
  addEventListener("pageshow", tell);
  label.hidden = false;
}

// A form is sent once, however often its button is pressed; again when nothing has come of it for a while.
const SENT_MS = 5000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  else setTimeout(() => delete form.dataset.sent, SENT_MS);
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Where rows become cards (parts.css), some browsers forget that they are rows of a table unless told.
const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
const tellRoles = (root) => {
  for (const part of root.querySelectorAll("table.stack, .stack :is(thead, tbody, tr, th, td)")) {
    part.setAttribute("role", ROLES[part.tagName] ?? (part.scope === "col" ? "columnheader" : "rowheader"));
  }
};
tellRoles(document);

// The request log goes on by itself while it is followed.
const ROWS_MAX = 200;
for (const button of document.querySelectorAll("[data-live]")) {
  const rows = document.querySelector("[data-rows]");
  if (!rows || !button.dataset.live) continue;
  let source = null;
  const stop = () => {
    source?.close();
    source = null;
    button.textContent = "Follow";
    button.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    source = new EventSource(button.dataset.live);
    button.textContent = "Following";
    button.setAttribute("aria-pressed", "true");
    source.addEventListener("message", (event) => {
      document.querySelector("[data-empty]")?.remove();
      rows.insertAdjacentHTML("afterbegin", event.data);
      tellRoles(rows.parentNode.parentNode);
      while (rows.rows.length > ROWS_MAX) rows.deleteRow(-1);
    });
    // While the browser tries again the state is another.
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      stop();
      button.textContent = "Interrupted: follow again, or reload the page";
    });
  };
  button.hidden = false;
  stop();
  button.addEventListener("click", () => (source ? stop() : start()));
}

// Ctrl-K (Cmd-K) opens the search over whatever page it is; results come as one types.
const find = document.querySelector("[data-find]");
if (find && window.HTMLDialogElement) {
  const palette = document.createElement("dialog");
  palette.className = "palette";
  palette.setAttribute("aria-label", "Search");
  const form = find.form.cloneNode(true);
  const field = form.querySelector("input");
  const results = document.createElement("div");
  results.setAttribute("aria-live", "polite");
  palette.append(form, results);
  document.body.append(palette);
  let waiting = 0;
  let asked = 0;
  const look = async () => {
    const own = ++asked;
    try {
      const query = new URLSearchParams({ q: field.value, part: "results" });
      const answer = await fetch(`/dashboard/search?${query}`, { redirect: "manual" });
      const text = await answer.text();
      if (own !== asked) return;
      if (answer.ok) results.innerHTML = text;
      if (answer.type === "opaqueredirect") results.textContent = "Your session is over: press Enter to sign in.";
    } catch {
      // Enter still goes to the page of results.
    }
  };
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, 150);
  });
  const links = () => [...results.querySelectorAll("a")];
  palette.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const all = [field, ...links()];
    const next = all[all.indexOf(document.activeElement) + step];
    if (next) next.focus();
    event.preventDefault();
  });
  palette.addEventListener("click", (event) => event.target === palette && palette.close());
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault();
    if (palette.open) return palette.close();
    palette.showModal();
    field.select();
    look();
  });
}
