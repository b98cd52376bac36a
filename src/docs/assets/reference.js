// Adds to the reference what a page cannot do alone: sending requests, copying, colours in code, a
// filter, and the place in the contents. Everything else works without this file.
// Credentials and tokens live in the variables below and nowhere else; what this browser keeps is the language of the
// examples.

const SEND_TIMEOUT_MS = 30_000;
const SHOWN_CHARACTERS_MAX = 100_000;
const FRESH_MS = 30_000; // a token this close to its end is not used any more

const dialog = document.getElementById("credentials");
const connect = document.getElementById("connect");
let token = null; // { value, expiresAt, scope }
let openDialog = () => {};
let waiting = null; // the form to send once there is a token

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Sends and tells; a problem with the network is told like any other answer.
async function send(url, options) {
  const started = performance.now();
  const response = await fetch(url, {
    credentials: "omit",
    ...options,
    cache: "no-store",
    signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
  });
  const text = await response.text();
  return { response, text, elapsedMs: Math.round(performance.now() - started) };
}

// Credentials

function hasToken() {
  return token !== null && Date.now() < token.expiresAt - FRESH_MS;
}

function getToken(id, secret) {
  return tokenFrom("/oauth/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ grant_type: "client_credentials", client_id: id, client_secret: secret }),
  });
}

// Whoever is signed in to the dashboard chooses a client; its secret is not needed and never comes here.
const TRY_IT = "/dashboard/try-it";
let offer = null; // { form, clients }

async function askForOffer() {
  try {
    const response = await fetch(TRY_IT, { redirect: "manual", cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null; // then the id and the secret are typed
  }
}

function mintToken(client) {
  const body = new URLSearchParams({ form: offer.form, client });
  return tokenFrom(TRY_IT, { method: "POST", body, credentials: "same-origin" });
}

/** What a page of the dashboard says, where it refuses. */
function saidBy(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  return page.querySelector("main h1 + p")?.textContent;
}

async function tokenFrom(url, options) {
  const { response, text } = await send(url, options);
  let answer = {};
  try {
    answer = JSON.parse(text);
  } catch {
    // told below: an answer that is not JSON has no token
  }
  if (!response.ok || typeof answer.access_token !== "string") {
    throw new Error(answer.error_description ?? answer.error ?? saidBy(text) ?? `The server answered ${response.status}`);
  }
  const lifetimeMs = 1000 * (Number(answer.expires_in) || 60);
  return { value: answer.access_token, expiresAt: Date.now() + lifetimeMs, scope: answer.scope ?? "" };
}

if (dialog && connect) {
  const form = dialog.querySelector("form");
  const told = form.querySelector("output");
  const { client, client_id, client_secret } = form.elements;
  const status = element("output"); // announced, and seen where there is room
  connect.before(status);
  const details = element("p", undefined, "connected");
  details.hidden = true;
  form.querySelector("h2").after(details);
  let expiry;
  const tellConnected = (name) => {
    const { scope, expiresAt } = token;
    const minutes = Math.max(1, Math.round((expiresAt - Date.now()) / 60_000));
    const scopes = scope.split(" ").filter(Boolean).length;
    const lifetime = minutes === 1 ? "a minute" : `${minutes} minutes`;
    connect.textContent = "Connected";
    connect.title = scope;
    const told = `${name}, ${scopes === 1 ? "1 scope" : `${scopes} scopes`}, for ${lifetime}`;
    status.replaceChildren(element("span", "Connected as ", "unseen"), told); // the button says it to eyes
    const until = new Date(expiresAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    details.textContent = `Connected until ${until} as ${name}, with ${scope || "no scopes"}`;
    details.hidden = false;
    clearTimeout(expiry);
    expiry = setTimeout(() => {
      connect.textContent = "Connect";
      connect.title = status.textContent = "";
      details.hidden = true;
    }, expiresAt - FRESH_MS - Date.now());
  };
  const choose = () => {
    for (const field of [client_id, client_secret]) {
      field.disabled = client.value !== "";
      field.parentElement.hidden = field.disabled;
    }
  };
  openDialog = async () => {
    offer = await askForOffer();
    client.parentElement.hidden = offer === null;
    const options = (offer?.clients ?? []).map(({ id, name }) => new Option(`${name} (${id})`, id));
    client.replaceChildren(...options, client.lastElementChild);
    client.selectedIndex = 0;
    choose();
    dialog.showModal();
  };
  client.addEventListener("change", choose);
  connect.hidden = false;
  connect.addEventListener("click", () => openDialog());
  form.querySelector(".quiet").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    waiting = null;
    told.replaceChildren();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not(.quiet)");
    button.disabled = true;
    told.replaceChildren();
    try {
      token = client.value
        ? await mintToken(client.value)
        : await getToken(client_id.value.trim(), client_secret.value);
      tellConnected(client.value ? client.selectedOptions[0].label : client_id.value.trim());
      const next = waiting;
      dialog.close();
      next?.requestSubmit();
    } catch (error) {
      told.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}

// Try it

function requestOf(form) {
  const { method, path, token: needs } = form.dataset;
  const headers = new Headers();
  const query = new URLSearchParams();
  let url = path;
  for (const { name, value, dataset } of form.querySelectorAll("[data-in]")) {
    if (value === "") continue;
    if (dataset.in === "path") url = url.replace(`{${name}}`, () => encodeURIComponent(value));
    if (dataset.in === "query") query.append(name, value);
    if (dataset.in === "header") headers.set(name, value);
  }
  if (needs === "needed") headers.set("Authorization", `Bearer ${token.value}`);
  const body = form.querySelector("textarea");
  if (body) headers.set("Content-Type", body.dataset.type);
  return [`${url}${query.size ? "?" : ""}${query}`, { method, headers, body: body?.value }];
}

function show(output, { response, text, elapsedMs }) {
  const kinds = { 2: "ok", 3: "info", 4: "warn", 5: "danger" };
  const line = element("div");
  const kind = kinds[Math.floor(response.status / 100)] ?? "neutral";
  line.append(element("code", response.status, `status ${kind}`), ` ${response.statusText} · ${elapsedMs} ms`);
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  let pretty = text;
  try {
    // Only shown, never used: a number beyond 2^53 would lose digits, so such bodies stay as they came.
    if (!/\d{16}/.test(text)) pretty = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // not JSON: shown as it came
  }
  const cut = pretty.length > SHOWN_CHARACTERS_MAX ? `${pretty.slice(0, SHOWN_CHARACTERS_MAX)}\n…` : pretty;
  output.replaceChildren(line, element("pre", headers, "code"));
  if (cut !== "") {
    const body = element("pre", cut, "code");
    body.dataset.language = "json";
    output.append(body);
    colour(body);
  }
}

// Long forms end out of sight, and so do their answers.
function leadTo(output) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  output.focus({ preventScroll: true });
  output.scrollIntoView({ behavior: still ? "instant" : "smooth", block: "start" });
}

for (const box of document.querySelectorAll(".try")) {
  const form = box.querySelector("form");
  const output = form.querySelector("output");
  box.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.token === "needed" && !hasToken()) {
      waiting = form;
      openDialog();
      return;
    }
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      show(output, await send(...requestOf(form)));
    } catch (error) {
      output.replaceChildren(element("div", `No answer: ${error.message}`));
    } finally {
      button.disabled = false;
      leadTo(output);
    }
  });
}

// Colours in code: ranges, not elements, so the page stays small.

const TOKEN = /("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|`[^`\n]*`)(\s*:)?|\b(-?\d[\d.]*|true|false|null|True|False|None)\b|(^# .*$)/gm;

function colour(pre) {
  const text = pre.firstChild;
  if (!globalThis.CSS?.highlights || text?.nodeType !== Node.TEXT_NODE) return;
  if (text.data.length > SHOWN_CHARACTERS_MAX) return;
  for (const match of text.data.matchAll(TOKEN)) {
    const [, string, colon, value] = match;
    const kind = string ? (colon ? "name" : "string") : value ? "value" : "comment";
    const range = new StaticRange({
      startContainer: text,
      startOffset: match.index,
      endContainer: text,
      endOffset: match.index + (string ?? match[0]).length,
    });
    if (!CSS.highlights.has(kind)) CSS.highlights.set(kind, new Highlight());
    CSS.highlights.get(kind).add(range);
  }
}

// Only what comes near the screen is coloured.
const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      near.unobserve(entry.target);
      colour(entry.target);
    }
  },
  { rootMargin: "600px" },
);
for (const pre of document.querySelectorAll("pre.code[data-language], section > .aside > pre.code")) near.observe(pre);

// Copy

function copyButton(text) {
  const button = element("button", "Copy", "copy");
  button.type = "button";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

for (const tabs of document.querySelectorAll(".tabs")) {
  const panes = [...tabs.querySelectorAll("pre")];
  const copy = copyButton(() => panes.find((pane) => pane.offsetParent !== null)?.textContent ?? "");
  tabs.insertBefore(copy, panes[0]); // beside the labels, never over the code
}

for (const block of document.querySelectorAll(".block:not(.answer)")) {
  const code = block.querySelector("pre");
  block.querySelector("p").append(copyButton(() => code.textContent));
}

// A language chosen once is chosen everywhere, and next time too.

const LANGUAGE = "tradepost.language";

function chooseLanguage(number) {
  const all = document.querySelectorAll(`input[type="radio"][id$=".ask.${number}"]`);
  for (const radio of all) radio.checked = true;
}

document.addEventListener("change", ({ target }) => {
  if (target.type !== "radio" || !target.name.endsWith(".ask")) return;
  const before = target.getBoundingClientRect().top;
  chooseLanguage(target.id.slice(target.id.lastIndexOf(".") + 1));
  scrollBy(0, target.getBoundingClientRect().top - before);
  try {
    localStorage.setItem(LANGUAGE, target.labels[0].textContent);
  } catch {
    // no storage: it is forgotten with the page
  }
});

try {
  const chosen = localStorage.getItem(LANGUAGE);
  const labels = [...(document.querySelector('.tabs[aria-label="Language"]')?.querySelectorAll("label") ?? [])];
  const number = labels.findIndex((label) => label.textContent === chosen);
  if (number > 0) {
    chooseLanguage(number);
    document.getElementById(location.hash.slice(1))?.scrollIntoView(); // heights above it have changed
  }
} catch {
  // no storage: the first language
}

// Contents: a filter, and where the reader is

const nav = document.querySelector("nav");
if (nav) {
  const links = [...nav.querySelectorAll("a")];
  const filter = element("input", undefined, "filter");
  filter.type = "search";
  filter.placeholder = "Filter";
  filter.setAttribute("aria-label", "Filter the contents");
  const nothing = element("output");
  nav.querySelector("div").prepend(filter, nothing);
  // Whatever somebody may have at hand: method and path, a whole address, or words of the heading or the chapter.
  const texts = new Map();
  for (const link of links) {
    const heading = document.getElementById(link.hash.slice(1))?.querySelector("h2, h3")?.textContent ?? "";
    if (link.querySelector("code")) link.title = heading;
    const chapter = link.closest("ul").previousElementSibling.textContent;
    texts.set(link, `${link.textContent} ${heading} ${chapter} ${link.hash}`.toLowerCase());
  }
  filter.addEventListener("input", () => {
    const typed = filter.value.trim();
    const bare = typed.toLowerCase().replace(/https?:\/\/[^/\s]+|\?\S*/g, "");
    const words = bare.split(/\s+/);
    for (const [link, text] of texts) {
      link.parentElement.hidden = !words.every((word) => text.includes(word));
    }
    const some = links.some((link) => !link.parentElement.hidden);
    nothing.textContent = some ? "" : `Nothing matches “${typed}”.`;
    for (const list of nav.querySelectorAll("ul")) {
      const empty = !list.querySelector("li:not([hidden])");
      list.hidden = list.previousElementSibling.hidden = empty;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest?.("input, textarea, dialog")) return;
    event.preventDefault();
    filter.focus();
  });
  nav.addEventListener("click", (event) => {
    if (event.target.closest("a")) document.getElementById("menu").checked = false;
  });

  const byId = new Map(links.map((link) => [link.hash.slice(1), link]));
  const linkOf = (id) => byId.get(id.startsWith("object-") ? "objects" : id);
  const here = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((e) => e.isIntersecting)) {
        for (const link of links) link.removeAttribute("aria-current");
        const link = linkOf(entry.target.id);
        link.setAttribute("aria-current", "true");
        const { top, bottom } = link.getBoundingClientRect();
        if (top < 80 || bottom > innerHeight - 24) nav.scrollTop += top - innerHeight / 2; // only the sidebar scrolls
      }
    },
    { rootMargin: "-15% 0px -80% 0px" },
  );
  for (const section of document.querySelectorAll("main > section[id]")) {
    if (linkOf(section.id)) here.observe(section);
  }
}
