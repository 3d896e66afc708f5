// The search over everything: a combobox whose list is filled by the server.
import { $, $$, on } from "./dom.js";

const dialog = $("#palette"), field = dialog && $("input", dialog), hits = $("#hits");
const options = () => $$("[role=option]:not([aria-disabled])", hits);
const choose = option => {
  options().forEach(o => o.setAttribute("aria-selected", o === option));
  if (option) { field.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); } else field.removeAttribute("aria-activedescendant");
};
if (dialog) {
  dialog.addEventListener("close", () => { field.value = ""; hits.replaceChildren(); choose(null); });
  document.addEventListener("htmx:after:settle", e => { if (e.target === hits) choose(options()[0]); });
  field.addEventListener("keydown", e => {
    const found = options(), at = found.findIndex(o => o.getAttribute("aria-selected") === "true");
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      if (found.length) choose(found[(at + (e.key === "ArrowDown" ? 1 : -1) + found.length) % found.length]);
    } else if (e.key === "Enter") {
      e.preventDefault();
      found[at]?.click();
    } else if (e.key === "Escape") {   // else the first Esc would only empty the field
      e.preventDefault();
      dialog.close();
    }
  });
}
on("click", "#hits [data-href]", (e, option) => {
  if (e.ctrlKey || e.metaKey) open(option.dataset.href, "_blank", "noopener"); else location.assign(option.dataset.href);
});
