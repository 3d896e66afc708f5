// Tables that are filled in: what is changed is marked and counted, rows are moved by dragging and by the arrow keys.
//   form[data-matrix] · [data-review] says how many changes there are · table[data-order] posts the rows' data-key
import { $, $$, on, onContent, send } from "./dom.js";

const changed = control => (control.type === "checkbox" ? control.checked !== control.defaultChecked : control.value !== control.defaultValue);

const count = form => {
  const controls = $$("tbody input", form), many = controls.filter(changed).length, button = $("[data-review]", form);
  controls.forEach(control => control.closest("td").classList.toggle("chg", changed(control)));
  if (!button) return;
  button.textContent = many === 0 ? button.dataset.none : many === 1 ? button.dataset.one : button.dataset.many.replace("#", many);
  button.disabled = many === 0;
};
onContent(root => { const form = root.closest?.("form[data-matrix]"); (form ? [form] : $$("form[data-matrix]", root)).forEach(count); });
on("input", "form[data-matrix]", (e, form) => count(form));
document.addEventListener("submit", e => { if (e.target.matches("form[data-matrix]")) { e.preventDefault(); $("[data-review]:enabled", e.target)?.click(); } });

const keep = async table => {
  const rows = $$("tbody tr", table);
  if (!await send(table.dataset.order, { keys: rows.map(row => row.dataset.key).join(",") })) location.reload();
};
const told = row => {
  const place = $("[data-moved]", row.closest("form"));
  if (place) place.textContent = place.dataset.said.replace("#", $("input", row).value).replace("@", [...row.parentElement.children].indexOf(row) + 1);
};
on("keydown", "[data-grip]", (e, grip) => {
  if (!["ArrowUp", "ArrowDown"].includes(e.key)) return;
  e.preventDefault();
  const row = grip.closest("tr"), other = e.key === "ArrowUp" ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  if (e.key === "ArrowUp") other.before(row); else other.after(row);
  grip.focus();
  told(row);
  keep(row.closest("table"));
});
let dragged;
on("pointerdown", "[data-grip]", (e, grip) => { grip.closest("tr").draggable = true; });
on("dragstart", "tr[draggable=true]", (e, row) => { dragged = row; e.dataTransfer.effectAllowed = "move"; e.dataTransfer.setData("text/plain", row.dataset.key); });
on("dragover", "table[data-order] tbody tr", (e, row) => {
  if (!dragged || row === dragged || row.parentElement !== dragged.parentElement) return;
  e.preventDefault();
  const box = row.getBoundingClientRect();
  if (e.clientY < box.top + box.height / 2) row.before(dragged); else row.after(dragged);
});
on("drop", "table[data-order]", e => e.preventDefault());
on("dragend", "tr[draggable=true]", (e, row) => { row.draggable = false; dragged = undefined; told(row); keep(row.closest("table")); });
