// What makes pages quicker for those with JavaScript: copy, keys, live parts. Everything works without it.

const REFRESH_MS = document.querySelector("[data-live-soon]") ? 1000 : 5000;

for (const button of document.querySelectorAll("[data-copy]")) show(button);

function show(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

// --- keys

const KEYS_OFF = "packhook-keys-off";
const useKeys = document.querySelector("[data-keys]");
let keysOff = false;
let prefix = "";

try {
  keysOff = localStorage.getItem(KEYS_OFF) === "1";
} catch {
  // A frame may have no storage: then the choice counts for this page.
}

if (useKeys) {
  useKeys.closest("label").hidden = false;
  useKeys.checked = !keysOff;
  useKeys.addEventListener("change", () => {
    keysOff = !useKeys.checked;
    try {
      localStorage.setItem(KEYS_OFF, keysOff ? "1" : "0");
    } catch {
      // as above
    }
  });
}

const openKeys = document.getElementById("keys-open");
if (openKeys) {
  openKeys.hidden = false;
  openKeys.addEventListener("click", () => document.getElementById("keys").showModal());
}

document.addEventListener("keydown", (event) => {
  if (keysOff || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
  const go = prefix === "g" ? document.querySelector(`[data-key="${CSS.escape(event.key)}"]`) : null;
  prefix = event.key === "g" ? "g" : "";
  if (go) go.click();
  else if (event.key === "?") document.getElementById("keys")?.showModal();
  else if (event.key === "/") focusSearch(event);
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else if (event.key === "Enter" && document.activeElement === document.body) document.querySelector("tr.at a")?.click();
});

function focusSearch(event) {
  const search = document.querySelector("[type=search]");
  if (!search) return;
  event.preventDefault();
  if (search.closest("[popover]")?.matches(":not(:popover-open)") && matchMedia("(max-width: 820px)").matches) search.closest("[popover]").showPopover();
  search.focus();
}

function moveRow(step) {
  const rows = [...document.querySelectorAll(".rows tbody tr")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("at"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  rows[at]?.classList.remove("at");
  next.classList.add("at");
  next.scrollIntoView({ block: "nearest" });
  document.activeElement?.blur?.();
}

// --- live parts: the page is read again while it is seen, and its marked parts are replaced

if (document.querySelector("[data-live]")) setTimeout(refresh, REFRESH_MS);

async function refresh() {
  try {
    if (document.visibilityState === "visible" && !document.querySelector("[data-live] :is(details[open], :focus-visible)")) await replaceParts();
  } catch {
    // The node is away: what is shown stays, and its footer says from when it is.
  }
  setTimeout(refresh, REFRESH_MS);
}

async function replaceParts() {
  const response = await fetch(location.href, { redirect: "error", headers: { accept: "text/html" } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const at = [...document.querySelectorAll(".rows tbody tr")].findIndex((row) => row.classList.contains("at"));
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
  }
  if (!document.querySelector("tr.at")) document.querySelectorAll(".rows tbody tr")[at]?.classList.add("at");
  for (const button of document.querySelectorAll("[data-copy]")) show(button);
}

// --- the live tail: rows as they happen; while it is paused they wait, up to a bound

const MAX_TAIL_ROWS = 500;
const tail = document.querySelector("[data-tail]");

if (tail && window.EventSource) openTail();

function openTail() {
  const state = document.querySelector("[data-tail-state]");
  const pause = document.querySelector("[data-tail-pause]");
  const body = tail.querySelector("tbody");
  let waiting = [];
  let missed = 0;
  let paused = false;
  const source = new EventSource(tail.dataset.tail);
  pause.hidden = false;
  const say = (kind, text) => { state.className = `chip ${kind}`; state.textContent = text; };
  source.addEventListener("open", () => { if (!paused) say("ok", "Live"); });
  source.addEventListener("error", () => say("warn", source.readyState === EventSource.CLOSED ? "Ended: load the page again" : "Connecting"));
  source.addEventListener("rows", (event) => {
    const { html, dropped } = JSON.parse(event.data);
    const part = document.createElement("template");
    part.innerHTML = html;
    waiting = [...part.content.querySelectorAll("tr"), ...waiting];
    miss(dropped + Math.max(0, waiting.length - MAX_TAIL_ROWS));
    waiting.length = Math.min(waiting.length, MAX_TAIL_ROWS);
    if (paused) say("idle", `Paused, ${waiting.length} waiting`);
    else showWaiting();
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    if (paused) say("idle", "Paused");
    else { say(source.readyState === EventSource.OPEN ? "ok" : "warn", source.readyState === EventSource.OPEN ? "Live" : "Connecting"); showWaiting(); }
  });

  function showWaiting() {
    for (const row of waiting) row.classList.add("arrived");
    body.prepend(...waiting);
    for (const button of body.querySelectorAll("[data-copy]")) show(button);
    while (body.rows.length > MAX_TAIL_ROWS) body.rows[MAX_TAIL_ROWS].remove();
    if (waiting.length) { tail.hidden = false; document.querySelector("[data-tail-empty]").hidden = true; }
    waiting = [];
  }

  function miss(count) {
    if (!count) return;
    missed += count;
    const note = document.querySelector("[data-tail-dropped]");
    note.hidden = false;
    note.textContent = `${missed.toLocaleString("en")} rows were left out: more happened than this page could show. Filter, or look at the lists.`;
  }
}
