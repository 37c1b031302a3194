"use strict";
// Tabs, the theme, tables that sort, and what chooses what is shown.

const tabs = [...document.querySelectorAll("[role=tab]")];

function openPage(name, focus) {
  const chosen = tabs.find((tab) => tab.getAttribute("aria-controls") === name) || tabs[0];
  for (const tab of tabs) {
    const open = tab === chosen;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !open;
  }
  chosen.scrollIntoView({ block: "nearest", inline: "nearest" });
  scrollTo(0, 0); // not where a fragment would lead, half under the header
  if (focus) chosen.focus();
  document.dispatchEvent(new CustomEvent("page", { detail: chosen.getAttribute("aria-controls") }));
}

for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => { location.hash = tab.getAttribute("aria-controls"); });
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(index + step + tabs.length) % tabs.length];
    location.hash = next.getAttribute("aria-controls");
    next.focus();
  });
}
window.addEventListener("hashchange", () => openPage(location.hash.slice(1), false));

// A key belongs to the page unless something is being typed or chosen.
function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA|AUDIO)$/.test(event.target.tagName);
}

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  const tab = tabs[Number(event.key) - 1];
  if (tab) location.hash = tab.getAttribute("aria-controls");
  if (event.key === "t") document.getElementById("theme").click();
});

// Browsers may refuse to store anything for a file; nothing depends on it.
const memory = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* private mode */ } },
};

const root = document.documentElement;
if (memory.get("kagglekit-theme")) root.dataset.theme = memory.get("kagglekit-theme");
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  memory.set("kagglekit-theme", root.dataset.theme);
  document.dispatchEvent(new Event("theme"));
});

for (const select of document.querySelectorAll("[data-chooses]")) {
  const all = [...document.querySelectorAll(`[data-${select.dataset.chooses}]`)];
  const show = () => { for (const one of all) one.hidden = one.dataset[select.dataset.chooses] !== select.value; };
  select.addEventListener("change", show);
  show(); // a browser may have restored an earlier choice
}

for (const button of document.querySelectorAll("[data-shows]")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure");
    for (const other of figure.querySelectorAll("[data-shows]")) other.setAttribute("aria-pressed", String(other === button));
    for (const part of figure.querySelectorAll("[data-shown]")) part.hidden = part.dataset.shown !== button.dataset.shows;
  });
}

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch { // not permitted: select the text for Ctrl-C
      getSelection().selectAllChildren(code);
    }
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  for (const [column, head] of heads.entries()) {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column] ? row.cells[column].textContent.trim() : "";
      const number = (text) => Number(text.replace(/,/g, "").replace("−", "-"));
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const order = x !== "" && y !== "" && !isNaN(number(x)) && !isNaN(number(y)) ? number(x) - number(y) : x.localeCompare(y);
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  }
}
