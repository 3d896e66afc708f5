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

// selecting: rows stay ticked from page to page of a list; what is ticked on other pages goes along as hidden fields
let last;
const chosen = new Map();   // by list: ids
const everything = new Map();   // by list: the address of which all rows are meant
const idsOf = list => chosen.get(list.dataset.what) ?? chosen.set(list.dataset.what, new Set()).get(list.dataset.what);
const addressOf = list => $("#bulk [name=address]", list)?.value;
const show = list => {
  const ticks = ticksOf(list), page = $("[data-select-page]", list), all = $("[data-select-all]", list), ids = idsOf(list);
  if (!page || !$("#bulk", list)) return;
  const onPage = ticks.filter(t => t.checked), here = new Set(ticks.map(t => t.value)), elsewhere = [...ids].filter(id => !here.has(id));
  ticks.forEach(t => t.closest("tr").setAttribute("aria-selected", t.checked));
  page.checked = ticks.length > 0 && onPage.length === ticks.length;
  page.indeterminate = onPage.length > 0 && !page.checked;
  list.classList.toggle("selecting", ids.size > 0 || !!all?.checked);
  $("[data-selected]", list).textContent = all?.checked ? all.dataset.selectAll : ids.size;
  $("[data-selected-word]", list).textContent = all?.checked ? _("selected, all that match") : elsewhere.length ? _("selected, %(count)s on other pages", { count: elsewhere.length }) : _("selected");
  $("[data-elsewhere]", list).replaceChildren(...elsewhere.map(id => Object.assign(document.createElement("input"), { type: "hidden", name: "id", value: id })));
  const one = $("[data-only-one]", list);
  one.disabled = all?.checked || ids.size !== 1;
  if (all) all.closest("label").hidden = !page.checked && !all.checked;
};
const note = (list, ticks) => ticks.forEach(t => idsOf(list)[t.checked ? "add" : "delete"](t.value));
onContent(root => {
  for (const list of root.matches?.(".t-list") ? [root] : $$(".t-list", root)) {
    if (!$("#bulk", list)) continue;
    const all = $("[data-select-all]", list), meant = everything.get(list.dataset.what);
    if (meant !== undefined && all && meant === addressOf(list)) all.checked = true; else everything.delete(list.dataset.what);
    ticksOf(list).forEach(t => { t.checked = !!all?.checked || idsOf(list).has(t.value); });
    if (all?.checked) note(list, ticksOf(list));
    show(list);
  }
});
const notAll = list => { everything.delete(list.dataset.what); const all = $("[data-select-all]", list); if (all) all.checked = false; };
on("click", "[data-select]", (e, tick) => {
  const list = tick.closest(".t-list"), ticks = ticksOf(list);
  if (e.shiftKey && ticks.includes(last)) {
    const [from, to] = [ticks.indexOf(last), ticks.indexOf(tick)].sort((a, b) => a - b);
    ticks.slice(from, to + 1).forEach(t => { t.checked = tick.checked; });
    note(list, ticks.slice(from, to + 1));
  }
  last = tick;
});
on("change", "[data-select], [data-select-page]", (e, tick) => {
  const list = tick.closest(".t-list");
  if (tick.matches("[data-select-page]")) ticksOf(list).forEach(t => { t.checked = tick.checked; });
  notAll(list);
  note(list, ticksOf(list));
  show(list);
});
on("change", "[data-select-all]", (e, all) => {
  const list = all.closest(".t-list");
  if (all.checked) everything.set(list.dataset.what, addressOf(list)); else everything.delete(list.dataset.what);
  show(list);
});
export const clearSelection = () => $$(".t-list.selecting").forEach(list => {
  notAll(list);
  idsOf(list).clear();
  ticksOf(list).forEach(t => { t.checked = false; });
  show(list);
});
on("click", "[data-clear]", clearSelection);

// a press on a row opens it; presses on what stands in it, and marking text, do what they always do
on("click", "[data-rows] > tr", (e, row) => {
  const link = $(".c-name a", row);
  if (!link || e.defaultPrevented || e.target.closest("a, button, input, label, select, textarea, [popover]") || String(getSelection())) return;
  if (e.ctrlKey || e.metaKey) window.open(link.href, "_blank", "noopener"); else link.click();
});

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
  ($(".c-name a", row) ?? $("a, button, input", row))?.focus();
  row.scrollIntoView({ block: "nearest" });
  return true;
};
on("keydown", "[data-select]", (e, box) => {   // opens the row, as at its name, instead of sending what is ticked
  if (e.key !== "Enter") return;
  e.preventDefault();
  $(".c-name a", box.closest("tr"))?.click();
});
export const tick = through => {
  const row = document.activeElement?.closest?.("[data-rows] > tr"), box = row && $("[data-select]", row);
  if (!box) return false;
  box.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: through }));
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

// many fields to filter by are found by their names; arrows go from one to the next, Enter opens the first
const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
const narrowed = box => $$("details", box.closest(".t-panel")).filter(field => !field.hidden);
on("input", "[data-narrow]", (e, box) => {
  const typed = plain(box.value.trim());
  $$("details", box.closest(".t-panel")).forEach(field => { field.hidden = !plain($("summary", field).textContent).includes(typed); });
  $("[data-narrowed]", box.parentElement).textContent = _("%(count)s found", { count: narrowed(box).length });
});
on("keydown", "#filters [data-narrow], #filters summary", (e, at) => {
  if (!["ArrowDown", "ArrowUp", "Enter"].includes(e.key)) return;
  const box = $("#filters [data-narrow]"), fields = narrowed(at), place = fields.findIndex(field => field.contains(at));
  if (e.key === "Enter") {
    if (at !== box) return;
    e.preventDefault();
    if (!fields.length) return;
    fields[0].open = true;
    $("form :is(input:not([type=hidden]), select)", fields[0])?.focus();
    return;
  }
  e.preventDefault();
  const next = fields[place + (e.key === "ArrowDown" ? 1 : -1)];
  if (next) $("summary", next).focus(); else if (e.key === "ArrowUp") box?.focus();
});

// a number is read in groups and taken away as it is dialled
document.addEventListener("copy", e => {
  const chosen = getSelection(), at = chosen.anchorNode, number = (at?.nodeType === 1 ? at : at?.parentElement)?.closest("[data-number]");
  if (!number || !number.contains(chosen.focusNode) || chosen.toString().trim() !== number.textContent) return;
  e.preventDefault();
  e.clipboardData.setData("text/plain", number.dataset.number);
});

// a filter that is set opens its own form; a form that is sent closes the panel
on("click", "[data-filter]", (e, button) => {
  const part = $(`#filters details[data-of="${CSS.escape(button.dataset.filter)}"]`);
  if (!part) return;
  part.open = true;
  setTimeout(() => { part.scrollIntoView({ block: "nearest" }); $("input:not([type=hidden]), select", part)?.focus(); });
});
document.addEventListener("submit", e => e.target.closest?.("#filters")?.hidePopover(), true);
on("change", "[data-every]", (e, box) => $$(`.t-picks input`, box.closest("form")).forEach(one => { one.name = box.checked ? `${box.dataset.every}.all` : box.dataset.every; }));
