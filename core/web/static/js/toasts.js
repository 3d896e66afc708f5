// Toasts: a polite status. Each stays 6 s, longer while pointed at or focused. A popover, so that it lies over dialogs too.
import { $, $$, icon, make, on, _ } from "./dom.js";

const box = $("#toasts");
const seen = new WeakSet();

const begin = toast => {
  if (seen.has(toast)) return;
  seen.add(toast);
  const leave = () => setTimeout(() => { if (toast.matches(":hover, :focus-within")) leave(); else toast.remove(); }, 6000);
  leave();
};
const look = () => {
  const toasts = $$(".t-toast", box);
  toasts.forEach(begin);
  if (!toasts.length) { if (box.matches(":popover-open")) box.hidePopover(); return; }
  if (box.matches(":popover-open")) box.hidePopover();   // over a dialog that was opened later
  box.showPopover();
};
if (box) {
  new MutationObserver(look).observe(box, { childList: true });
  look();
}
on("click", "[data-toast-off]", (e, button) => button.closest(".t-toast").remove());

/** Say something that only the browser knows: an optimistic change that was not taken. */
export const say = text => {
  const off = make("button", "", icon("x"));
  off.type = "button"; off.dataset.toastOff = ""; off.setAttribute("aria-label", _("Dismiss"));
  box?.append(make("div", "t-toast", icon("alert-triangle"), make("span", "", text), off));
};
