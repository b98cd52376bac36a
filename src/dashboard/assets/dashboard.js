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

// Filters show at once what is chosen.
for (const select of document.querySelectorAll(".filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

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
      while (rows.rows.length > ROWS_MAX) rows.deleteRow(-1);
    });
    // While the browser tries again the state is another.
    source.addEventListener("error", () => source?.readyState === EventSource.CLOSED && stop());
  };
  button.hidden = false;
  stop();
  button.addEventListener("click", () => (source ? stop() : start()));
}
