// Sections of a record: the focus goes to the first field when editing begins and back to Edit when it ends.
import { $, on } from "./dom.js";

document.addEventListener("htmx:after:settle", e => {
  const section = e.target;
  if (!section.matches?.(".t-sec, .t-all")) return;
  if (section.matches(".t-editing")) {
    if (!$("[data-focus]", section)) $(".t-dl input, .t-dl select, .t-dl textarea", section)?.focus({ preventScroll: true });
    else $("[data-focus]", section).focus();
  } else if (!document.activeElement || document.activeElement === document.body) $("[data-edit]", section)?.focus({ preventScroll: true });
});
on("keydown", ".t-editing", (e, section) => {
  if (e.key === "Escape" && !e.defaultPrevented && !$(":popover-open:not(.t-toasts)")) $("[data-cancel]", section).click();
});
on("change", "[data-choose]", (e, choice) => {
  const field = document.getElementById(choice.dataset.choose);
  if (field?.type === "checkbox") field.checked = choice.dataset.value !== "";
  else if (field) field.value = choice.dataset.value;
  if (field) { field.dispatchEvent(new Event("input", { bubbles: true })); }
});
