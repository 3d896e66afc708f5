// Dialogs: native <dialog>, so focus is held, Esc closes and focus returns.
//   data-open="id" opens · data-close closes · a swap into an empty dialog opens it · its form closes it when it worked
//   form[data-begin] is begun in its first field, the others at their heading · form[data-guard] with something typed is not closed without asking
import { $, $$, icon, make, on, _ } from "./dom.js";

const dirty = dialog => $$("form[data-guard]", dialog).some(form => form.dataset.dirty !== undefined);

export const open = id => {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open || $("dialog[open]")) return;
  $$(":popover-open:not(.t-toasts)").forEach(p => p.hidePopover());
  dialog.showModal();
  setTimeout(() => $("form[data-begin] :is(input:not([type=hidden]), select, textarea)", dialog)?.focus());   // after its heading had it
};

const shut = dialog => {
  if (!dirty(dialog)) { dialog.close(); return; }
  if ($("[data-guarding]", dialog)) { dialog.close(); return; }
  const keep = make("button", "btn btn-sm", _("Keep editing")), drop = make("button", "btn btn-sm btn-danger-quiet", _("Discard what was typed"));
  const asking = make("div", "t-banner k-warn", icon("alert-triangle"), make("div", "", _("What you typed is not saved.")), make("div", "t-actions", keep, drop));
  keep.type = drop.type = "button";
  asking.dataset.guarding = "";
  asking.setAttribute("role", "alert");
  keep.onclick = () => asking.remove();
  drop.onclick = () => dialog.close();
  $(".t-dbody", dialog).prepend(asking);
  keep.focus();
};

on("click", "[data-open]", (e, button) => { e.preventDefault(); open(button.dataset.open); });
on("click", "[data-close]", (e, button) => shut(button.closest("dialog")));
document.addEventListener("cancel", e => { if (e.target.nodeName === "DIALOG" && dirty(e.target)) { e.preventDefault(); shut(e.target); } }, true);
let pressed;
document.addEventListener("pointerdown", e => { pressed = e.target; });
document.addEventListener("click", e => {   // outside: pressed and let go on the backdrop, not a text dragged out of a field
  if (e.target.nodeName !== "DIALOG" || pressed !== e.target) return;
  const box = e.target.getBoundingClientRect();
  if (e.clientX < box.left || e.clientX > box.right || e.clientY < box.top || e.clientY > box.bottom) shut(e.target);
});
document.addEventListener("close", e => {
  if (e.target.nodeName !== "DIALOG") return;
  $$("[data-guarding], [data-problem]", e.target).forEach(x => x.remove());
  $$("form[data-guard]", e.target).forEach(form => { delete form.dataset.dirty; });
}, true);

// Enter, also with Ctrl, after something was typed into a plan of change shows first what the plan is with it.
document.addEventListener("keydown", e => {
  const field = e.target;
  if (e.key !== "Enter" || !field.matches?.(".t-plan-options input") || field.value === field.defaultValue || ["checkbox", "radio"].includes(field.type)) return;
  e.preventDefault();
  e.stopPropagation();
  field.dispatchEvent(new Event("change", { bubbles: true }));
}, true);

// The same by a button. Leaving a field to press it may have shown the plan already: then the button is gone.
document.addEventListener("click", e => {
  const options = e.target.closest?.("[data-show-plan]")?.form?.querySelector("div.t-plan-options");
  if (!options) return;
  const first = $("input:not([type=hidden]), select, textarea", options);
  if (first && !first.value) first.focus();
  options.dispatchEvent(new Event("change", { bubbles: true }));
});

// Letters choose from a list one after the other: the plan is asked for when no more come, or when the list is left.
let list = null, wait = 0, byLetter = false;
const askFor = () => { clearTimeout(wait); const one = list; list = null; one?.dispatchEvent(new Event("change", { bubbles: true })); };
document.addEventListener("keydown", e => {
  if (!e.target.matches?.(".t-plan-options select")) return;
  byLetter = e.key.length === 1;
  if (list && byLetter) { clearTimeout(wait); wait = setTimeout(askFor, 600); }
}, true);
document.addEventListener("change", e => {
  if (!e.isTrusted || !byLetter || !e.target.matches(".t-plan-options select")) return;
  e.stopPropagation();
  clearTimeout(wait);
  [list, wait] = [e.target, setTimeout(askFor, 600)];
}, true);
document.addEventListener("focusout", e => { if (e.target === list) askFor(); });
document.addEventListener("submit", () => { clearTimeout(wait); list = null; }, true);

// What was typed while a plan was worked out is newer than its answer, which is left out: leaving the field, or Enter, asks anew.
document.addEventListener("htmx:before:swap", e => {
  const { ctx } = e.detail, options = ctx.sourceElement, form = options.matches("div.t-plan-options") && options.isConnected && options.closest("form");
  if (!form || ctx.target.id !== "plan") return;
  const now = new FormData(form), asked = new URL(ctx.request.action, document.baseURI).searchParams;
  const newer = field => field.name && String(now.getAll(field.name)) !== String(asked.getAll(field.name));
  if ($$("input:not([type=file]), select, textarea", options).some(newer)) e.preventDefault();
});

// Whoever types in a plan of change goes on where it was when the plan comes anew. Its heading never has the focus in between: a letter
// typed meanwhile would be lost.
let typing = "";
document.addEventListener("htmx:before:swap", e => {
  const field = document.activeElement;
  typing = field?.closest(".t-plan-options") ? field.id : "";
  if (typing) e.detail.tasks.forEach(task => $$("[autofocus]", task.fragment).forEach(x => x.removeAttribute("autofocus")));
});
document.addEventListener("htmx:before:settle", () => {
  if (typing && document.activeElement === document.body) document.getElementById(typing)?.focus();
});

// What is asked for opens when it is there.
document.addEventListener("htmx:after:settle", e => {
  if (e.target.nodeName === "DIALOG" && !e.target.open && e.target.childElementCount) open(e.target.id);
});
document.addEventListener("htmx:after:request", e => {
  const ctx = e.detail.ctx, dialog = ctx.sourceElement.closest?.("dialog[open]");
  if (dialog && ctx.response.status < 400 && ctx.request.method !== "GET" && !dialog.contains(ctx.target)) dialog.close();
});

// A drawer that was asked for by its own address stands in the page: it opens, and closing it leads to the record.
const alone = $("[data-drawer]");
if (alone) {
  const dialog = $("#plan"), back = $(".t-crumbs a", alone.parentElement);
  dialog.append(...alone.childNodes);
  alone.remove();
  open(dialog.id);
  dialog.addEventListener("close", () => { if (back) location.href = back.href; });
}

// Buttons that wait for a tick, or for the name to be typed.
on("input", "[data-must]", (e, field) => { $(".btn-danger, .btn-primary", field.form).disabled = field.value !== field.dataset.must; });
on("change", "[data-arms]", (e, tick) => { document.getElementById(tick.dataset.arms).disabled = !tick.checked; });

// hx-confirm asks in our own dialog; data-do and data-keep name its buttons.
document.addEventListener("htmx:confirm", e => {
  const { ctx, issueRequest, dropRequest } = e.detail, source = ctx.sourceElement, dialog = $("#sure");
  if (!dialog) return;
  e.preventDefault();
  const [question, ...rest] = ctx.confirm.split(/(?<=\?)\s+/);
  $("h2", dialog).textContent = question;
  $("[data-sure-text]", dialog).textContent = rest.join(" ");
  $("[data-sure-text]", dialog).hidden = !rest.length;
  $("[data-sure=yes]", dialog).textContent = source.dataset.do || source.textContent.replace(/…$/, "").trim();
  $("[data-sure=no]", dialog).textContent = source.dataset.keep || _("Leave as it is");
  let sure = false;
  $("[data-sure=yes]", dialog).onclick = () => { sure = true; dialog.close(); };
  $("[data-sure=no]", dialog).onclick = () => dialog.close();
  dialog.addEventListener("close", () => (sure ? issueRequest() : dropRequest()), { once: true });
  open("sure");
});
