// Menus and panels are native popovers: the top layer, Esc and a click outside come for nothing. Here: where they stand, and the arrows.
import { $, $$, on } from "./dom.js";

const under = (popover, opener, end) => {
  const at = opener.getBoundingClientRect();
  const below = at.bottom + 4 + popover.offsetHeight <= innerHeight - 8 || at.top < popover.offsetHeight;
  popover.style.top = `${Math.max(8, Math.min(below ? at.bottom + 4 : at.top - 4 - popover.offsetHeight, innerHeight - popover.offsetHeight - 8))}px`;
  popover.style.left = `${Math.max(12, Math.min(end ? at.right - popover.offsetWidth : at.left, innerWidth - popover.offsetWidth - 12))}px`;
};
const openerOf = popover => $(`[popovertarget="${popover.id}"]`);

document.addEventListener("toggle", e => {   // does not bubble, so it is caught on the way down
  if (!e.target.matches?.(".dropdown-menu, .t-panel")) return;
  const opener = openerOf(e.target);
  if (!opener) return;
  opener.setAttribute("aria-expanded", e.newState === "open");
  if (e.newState !== "open") return;
  under(e.target, opener, e.target.classList.contains("dropdown-menu-end"));
  $("input:not([type=hidden]), .dropdown-item", e.target)?.focus();
}, true);
document.addEventListener("htmx:after:swap", () => $$(".dropdown-menu:popover-open, .t-panel:popover-open").forEach(popover => {   // what is swapped in knows no place
  const opener = openerOf(popover);
  if (opener) under(popover, opener, popover.classList.contains("dropdown-menu-end"));
}));
addEventListener("scroll", e => { if (e.target !== document && !e.target.closest?.("[popover]")) $$(".dropdown-menu:popover-open, .t-panel:popover-open").forEach(p => p.hidePopover()); }, { capture: true, passive: true });

document.addEventListener("keydown", e => {
  const menu = e.target.closest?.(".dropdown-menu");
  if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(e.key)) return;
  e.preventDefault();
  const items = $$(".dropdown-item", menu), at = items.indexOf(e.target);
  items[e.key === "Home" ? 0 : e.key === "End" ? items.length - 1 : (at + (e.key === "ArrowDown" ? 1 : -1) + items.length) % items.length].focus();
});
on("click", "[aria-disabled=true]", e => { e.preventDefault(); e.stopImmediatePropagation(); }, true);
on("click", ".dropdown-item", (e, item) => item.closest("[popover]")?.hidePopover());

// "Why?" opens its answer under itself when it is there.
let asked;
on("click", "[data-why]", (e, button) => { asked = button; });
document.addEventListener("htmx:after:settle", e => {
  if (e.target.id !== "why" || !asked?.isConnected) return;
  e.target.showPopover();
  under(e.target, asked, false);
});

// The menu at the end of a row is asked for when it is wanted, and opens under what was pressed.
let rowOf;
on("click", "[data-row-menu]", (e, link) => { e.preventDefault(); rowOf = link; });
document.addEventListener("htmx:after:settle", e => {
  if (e.target.id !== "row-menu" || !rowOf?.isConnected) return;
  e.target.showPopover();
  under(e.target, rowOf, true);
  $(".dropdown-item", e.target)?.focus();
});

// data-show="id" shows something on the page and goes there, data-hide takes it away again.
on("click", "[data-show]", (e, button) => {
  const part = document.getElementById(button.dataset.show);
  part.hidden = !part.hidden;
  button.setAttribute("aria-expanded", !part.hidden);
  if (!part.hidden) $("input:not([type=hidden]), textarea, select", part)?.focus();
});
on("click", "[data-hide]", (e, button) => {
  const part = document.getElementById(button.dataset.hide), opener = $(`[data-show="${part.id}"]`);
  part.hidden = true;
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus();
});
