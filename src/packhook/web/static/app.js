// What makes pages quicker for those with JavaScript: copy, keys, live parts. Everything works without it.

const REFRESH_MS = 5000;

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

let prefix = "";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
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
    if (document.visibilityState === "visible" && !document.querySelector("[data-live] :is(details[open], :focus)")) await replaceParts();
  } catch {
    // The node is away: what is shown stays, and its footer says from when it is.
  }
  setTimeout(refresh, REFRESH_MS);
}

async function replaceParts() {
  const response = await fetch(location.href, { redirect: "error", headers: { accept: "text/html" } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
  }
  for (const button of document.querySelectorAll("[data-copy]")) show(button);
}
