// Lists: searching, selecting, height of rows, order of columns.
import { $, $$, on, onContent, _ } from "./dom.js";

const rowsOf = list => $$("[data-rows] > tr", list);
const ticksOf = list => $$("[data-rows] [data-select]", list);

// while it is searched the old rows stay
const searches = new WeakMap();
const searched = ctx => (ctx.target?.matches?.(".t-list") ? ctx.target : null);
document.addEventListener("htmx:before:request", e => {
  const ctx = e.detail.ctx, list = searched(ctx);
  if (!list) return;
  const said = $("[data-said]", list), before = said?.textContent;
  list.setAttribute("aria-busy", "true");
  const soon = setTimeout(() => { if (said) said.textContent = _("Searching…"); }, 200);
  const late = setTimeout(() => {
    if (!said) return;
    const stop = document.createElement("button");
    stop.type = "button"; stop.className = "t-why"; stop.textContent = _("Cancel");
    stop.onclick = () => { ctx.request.abort(); said.textContent = before; };
    said.replaceChildren(`${_("Still searching")} `, stop);
  }, 5000);
  searches.set(ctx, [soon, late]);
});
document.addEventListener("htmx:finally:request", e => {
  const timers = searches.get(e.detail.ctx);
  if (!timers) return;
  timers.forEach(clearTimeout);
  $$(".t-list[aria-busy]").forEach(list => list.removeAttribute("aria-busy"));
});

// selecting
let last;
const show = list => {
  const ticks = ticksOf(list), chosen = ticks.filter(t => t.checked).length, page = $("[data-select-page]", list), matching = $("[data-select-all]", list);
  if (!page) return;
  ticks.forEach(t => t.closest("tr").setAttribute("aria-selected", t.checked));
  page.checked = ticks.length > 0 && chosen === ticks.length;
  page.indeterminate = chosen > 0 && !page.checked;
  if (!page.checked) delete list.dataset.all;
  list.classList.toggle("selecting", chosen > 0);
  const everything = list.dataset.all !== undefined;
  $("[data-selected]", list).textContent = everything ? matching.dataset.selectAll : chosen;
  $("[data-selected-word]", list).textContent = everything ? _("selected, all that match") : page.checked ? _("on this page selected") : _("selected");
  if (matching) { matching.hidden = !page.checked; matching.textContent = everything ? _("Only this page") : _("Select all %(matching)s matching", { matching: matching.dataset.selectAll }); }
};
onContent(root => { for (const list of root.matches?.(".t-list") ? [root] : $$(".t-list", root)) show(list); });
on("click", "[data-select]", (e, tick) => {
  const ticks = ticksOf(tick.closest(".t-list"));
  if (e.shiftKey && ticks.includes(last)) {
    const [from, to] = [ticks.indexOf(last), ticks.indexOf(tick)].sort((a, b) => a - b);
    ticks.slice(from, to + 1).forEach(t => { t.checked = tick.checked; });
  }
  last = tick;
});
on("change", "[data-select], [data-select-page]", (e, tick) => {
  const list = tick.closest(".t-list");
  if (tick.matches("[data-select-page]")) ticksOf(list).forEach(t => { t.checked = tick.checked; });
  delete list.dataset.all;
  show(list);
});
on("click", "[data-select-all]", (e, button) => {
  const list = button.closest(".t-list");
  if (list.dataset.all === undefined) list.dataset.all = ""; else delete list.dataset.all;
  show(list);
});
export const clearSelection = () => $$(".t-list.selecting").forEach(list => { ticksOf(list).forEach(t => { t.checked = false; }); show(list); });
on("click", "[data-clear]", clearSelection);

// height of rows, kept on this device
const heights = list => {
  list.dataset.density = localStorage.getItem("density") || "compact";
  $$("[data-density-set]", list).forEach(b => b.setAttribute("aria-pressed", b.dataset.densitySet === list.dataset.density));
};
onContent(root => { for (const list of root.matches?.(".t-list[data-density]") ? [root] : $$(".t-list[data-density]", root)) heights(list); });
on("click", "[data-density-set]", (e, button) => { localStorage.setItem("density", button.dataset.densitySet); heights(button.closest(".t-list")); });

// order of columns: by dragging, or arrow up and down on the grip; each move is said
const nameOf = item => $("label", item).textContent.trim();
const told = item => {
  const items = $$(":scope > li", item.parentElement), said = $("[data-moved]");
  if (said) said.textContent = _("%(name)s, place %(place)s of %(all)s", { name: nameOf(item), place: items.indexOf(item) + 1, all: items.length });
  item.parentElement.dispatchEvent(new CustomEvent("columns-moved", { bubbles: true }));
};
on("keydown", "[data-columns] .t-grip", (e, grip) => {
  if (!["ArrowUp", "ArrowDown"].includes(e.key)) return;
  e.preventDefault();
  e.stopPropagation();
  const item = grip.closest("li"), to = e.key === "ArrowUp" ? item.previousElementSibling : item.nextElementSibling;
  if (!to || to.classList.contains("t-fixed")) return;
  if (e.key === "ArrowUp") to.before(item); else to.after(item);
  grip.focus();
  told(item);
});
onContent(root => $$("[data-columns]:not([data-sorts])", root).forEach(list => {
  list.dataset.sorts = "";
  window.Sortable?.create(list, { handle: ".t-grip", filter: ".t-fixed", draggable: "li:not(.t-fixed)", animation: 120, ghostClass: "drag", onEnd: e => told(e.item) });
}));

/** Go to the next or previous row; gives whether there are rows. */
export const step = by => {
  const rows = $$("[data-rows] > tr");
  if (!rows.length) return false;
  const at = rows.findIndex(row => row.contains(document.activeElement));
  const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
  const link = $(".c-name a, a, button, input", row);
  link?.focus();
  row.scrollIntoView({ block: "nearest" });
  return true;
};
export const tick = through => {
  const row = document.activeElement?.closest?.("[data-rows] > tr"), box = row && $("[data-select]", row);
  box?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: through }));
};

// columns up and down by buttons, as by dragging
on("click", "[data-columns] [data-move]", (e, button) => {
  const item = button.closest("li"), to = button.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
  if (!to || to.classList.contains("t-fixed")) return;
  if (button.dataset.move === "up") to.before(item); else to.after(item);
  button.focus();
  told(item);
});

// with Shift a head sorts after the others
document.addEventListener("click", e => {
  const link = e.shiftKey && e.target.closest?.("a[data-then]");
  if (!link) return;
  e.preventDefault();
  e.stopImmediatePropagation();
  htmx.ajax("GET", link.dataset.then, { target: "#list", swap: "outerMorph", push: "true", source: link });
}, true);

// a filter that is set opens its own form; a form that is sent closes the panel
on("click", "[data-filter]", (e, button) => {
  const part = $(`#filters details[data-of="${CSS.escape(button.dataset.filter)}"]`);
  if (!part) return;
  part.open = true;
  setTimeout(() => { part.scrollIntoView({ block: "nearest" }); $("input:not([type=hidden]), select", part)?.focus(); });
});
document.addEventListener("submit", e => e.target.closest?.("#filters")?.hidePopover(), true);
on("change", "[data-every]", (e, box) => $$(`.t-picks input`, box.closest("form")).forEach(one => { one.name = box.checked ? `${box.dataset.every}.all` : box.dataset.every; }));
