// A field that suggests what may be meant: a combobox whose list is filled by the server while somebody types.
//   data-suggest on the field; data-suggest-send: choosing sends its form; data-suggest-own: the name of a field that holds what was chosen, emptied
//   with this one. data-fill on an option: further fields of the form that it fills in
import { $, $$, on } from "./dom.js";

const list = field => document.getElementById(field.getAttribute("aria-controls"));
const options = field => $$("[role=option]", list(field));
const shut = field => { list(field).hidden = true; field.setAttribute("aria-expanded", "false"); choose(field, null); };
const choose = (field, option) => {
  options(field).forEach(o => o.setAttribute("aria-selected", o === option));
  if (option) { field.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); } else field.removeAttribute("aria-activedescendant");
};
const take = (field, option) => {
  field.value = option.dataset.value;
  shut(field);
  Object.entries(JSON.parse(option.dataset.fill ?? "{}")).forEach(([name, text]) => {
    const other = field.form.elements[name], folded = other.closest("details");
    if (folded && other.value !== text) folded.open = true;
    other.value = text;
  });
  field.dispatchEvent(new Event("change", { bubbles: true }));
  if (field.dataset.suggestSend !== undefined) field.form.requestSubmit();
};
document.addEventListener("htmx:after:settle", e => {
  const field = e.target.matches?.("[role=listbox]") && $(`[data-suggest][aria-controls="${e.target.id}"]`);
  if (!field) return;
  const open = document.activeElement === field && options(field).length > 0;
  e.target.hidden = !open;
  field.setAttribute("aria-expanded", open);
});
on("keydown", "[data-suggest]", (e, field) => {
  const found = options(field), open = !list(field).hidden, at = found.findIndex(o => o.getAttribute("aria-selected") === "true");
  if ((e.key === "ArrowDown" || e.key === "ArrowUp") && open) {
    e.preventDefault();
    e.stopPropagation();
    choose(field, found[at < 0 ? (e.key === "ArrowDown" ? 0 : found.length - 1) : (at + (e.key === "ArrowDown" ? 1 : -1) + found.length) % found.length]);
  } else if (e.key === "Enter" && open && at >= 0) {
    e.preventDefault();
    take(field, found[at]);
  } else if (e.key === "Escape" && open) {   // the list first, then what the field stands in
    e.preventDefault();
    e.stopPropagation();
    shut(field);
  }
}, true);
on("pointerdown", ".t-found [role=option]", (e, option) => {   // before the field loses the focus
  e.preventDefault();
  take($(`[data-suggest][aria-controls="${option.closest("[role=listbox]").id}"]`), option);
});
on("input", "[data-suggest-own]", (e, field) => { if (!field.value.trim()) field.form.elements[field.dataset.suggestOwn].value = ""; });
on("focusout", "[data-suggest]", (e, field) => shut(field));
