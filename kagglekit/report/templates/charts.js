// Tooltips of the charts, by mouse or arrow keys, and legends that hide series.

const tip = document.getElementById("tip");
let pointed = null;

// The text comes from <title>, which browsers without this script show as well.
for (const title of document.querySelectorAll("svg.chart title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}

function point(mark, x, y) {
  if (pointed) pointed.classList.remove("pointed");
  pointed = mark;
  tip.hidden = !mark;
  if (!mark) return;
  mark.classList.add("pointed");
  tip.textContent = mark.dataset.tip;
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 12 : y + 18}px`;
}

document.addEventListener("pointermove", (event) => {
  point(event.target.closest ? event.target.closest("svg.chart [data-tip]") : null, event.clientX, event.clientY);
});
document.addEventListener("scroll", () => point(null), true);

for (const chart of document.querySelectorAll("svg.chart")) {
  const marks = [...chart.querySelectorAll("[data-tip]")];
  if (!marks.length) continue;
  let at = -1;
  chart.setAttribute("tabindex", "0");
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || event.target !== chart) return;
    event.preventDefault();
    at = (at + step + marks.length) % marks.length;
    const box = marks[at].getBoundingClientRect();
    point(marks[at], box.x + box.width / 2, box.y + box.height / 2);
  });
  chart.addEventListener("blur", () => point(null));
}

for (const key of document.querySelectorAll("svg.chart .legend")) {
  const marks = [...key.closest("svg").querySelectorAll(`[data-series="${key.dataset.series}"]:not(.legend)`)];
  const toggle = () => {
    const out = key.classList.toggle("out");
    key.setAttribute("aria-pressed", String(!out));
    for (const mark of marks) mark.style.display = out ? "none" : "";
  };
  key.setAttribute("tabindex", "0");
  key.setAttribute("role", "button");
  key.setAttribute("aria-pressed", "true");
  key.addEventListener("click", toggle);
  key.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle();
  });
}
