// Charts: each is drawn from the table beside it, which stays behind a button. Without this the tables are all there is.
import { $, $$, on, onContent } from "./dom.js";

let library;
const load = address => library ??= new Promise((done, failed) => {
  const script = document.createElement("script");
  script.src = address; script.onload = () => done(window.Chart); script.onerror = failed;
  document.head.append(script);
});

const colour = name => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`; probe.hidden = true; document.body.append(probe);
  const found = getComputedStyle(probe).color; probe.remove();
  return found;
};
const PALETTE = ["--t-c1", "--t-c2", "--t-c3", "--t-c4", "--t-c5"];

const draw = (Chart, card) => {
  const table = $("table[data-chart]", card), canvas = $("canvas", card), stacked = table.dataset.chart === "stacked";
  const rows = $$("tbody tr", table).filter(row => $("th", row)), heads = $$("thead th", table).slice(1, 1 + Number(table.dataset.drawn));
  show(card, true); $("[data-figures]", card).hidden = false;
  Chart.getChart(canvas)?.destroy();
  const text = colour("--t-text-2"), line = colour("--t-line"), colours = PALETTE.map(colour);
  new Chart(canvas, {
    type: "bar",
    data: {
      labels: rows.map(row => $("th", row).textContent),
      datasets: heads.map((head, at) => ({ label: head.textContent, data: rows.map(row => Number($$("td", row)[at].dataset.v)), backgroundColor: colours[at % colours.length], maxBarThickness: 34 })),
    },
    options: {
      locale: document.documentElement.lang, animation: false, maintainAspectRatio: false, responsive: true,
      plugins: {
        legend: { display: heads.length > 1, position: "bottom", labels: { color: text, boxWidth: 10, boxHeight: 10 } },
        tooltip: { callbacks: { label: item => `${item.dataset.label}: ${$$("td", rows[item.dataIndex])[item.datasetIndex].textContent.trim()}` } },
      },
      scales: {
        x: { stacked, grid: { display: false }, ticks: { color: text, maxRotation: 60 }, border: { color: line } },
        y: { stacked, grid: { color: line }, ticks: { color: text, maxTicksLimit: 6 }, border: { display: false } },
      },
      onClick: (event, found) => { if (found.length) $$("td", rows[found[0].index])[found[0].datasetIndex].querySelector("a")?.click(); },
    },
  });
};

const show = (card, drawn) => { $(".t-chart", card).hidden = !drawn; $(".t-scroll", card).hidden = drawn; };
const drawAll = async box => {
  const cards = $$(".t-card", box).filter(card => $("tbody th", card));
  for (const card of cards) show(card, true);   // its place, so that nothing jumps while the library comes
  let Chart;
  try { Chart = await load(box.dataset.charts); } catch { for (const card of cards) show(card, false); return; }
  for (const card of cards) draw(Chart, card);
};
onContent(() => { for (const box of $$("[data-charts]:not([data-done])")) { box.dataset.done = "yes"; drawAll(box); } });
document.addEventListener("themed", () => { for (const box of $$("[data-charts]")) drawAll(box); });

on("click", "[data-figures]", (event, button) => {
  const card = button.closest(".t-card"), figures = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", figures);
  $(".t-chart", card).hidden = figures; $(".t-scroll", card).hidden = !figures;
});
