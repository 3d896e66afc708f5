// Forms: where the focus goes, secrets that are shown, groups of ticks, texts to copy, what is typed and not saved.
import { $, $$, on, onContent, _ } from "./dom.js";

onContent(root => {
  const first = root.matches?.("[data-focus]") ? root : $$("[data-focus]", root).find(x => x.checkVisibility());
  if (first && first.dataset.focus !== "done") { first.dataset.focus = "done"; first.focus(); }
  else if (!first && document.activeElement === document.body) $("[data-begin] :is(input:not([type=hidden]), select, textarea)", root)?.focus();
});
on("click", ".t-errors a[href^='#']", (e, link) => {
  const field = document.getElementById(link.getAttribute("href").slice(1));
  if (field) { e.preventDefault(); field.focus(); }
});

on("click", "[data-reveal]", (e, button) => {
  const field = document.getElementById(button.dataset.reveal), shown = field.type === "password";
  field.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", shown);
});

const all = group => {
  const ticks = $$("input[type=checkbox]:not([data-group-all]):not(:disabled)", group), head = $("[data-group-all]", group), on = ticks.filter(t => t.checked).length;
  if (!head) return;
  head.checked = on > 0 && on === ticks.length;
  head.indeterminate = on > 0 && on < ticks.length;
  head.disabled = !ticks.length;
};
onContent(root => $$("[data-group]", root).forEach(all));
on("change", "[data-group]", (e, group) => {
  if (e.target.matches("[data-group-all]")) $$("input[type=checkbox]:not(:disabled)", group).forEach(t => { t.checked = e.target.checked; });
  all(group);
});

on("focusin", "[data-select-text]", (e, field) => field.select());
on("click", "[data-copy]", async (e, button) => {
  const field = document.getElementById(button.dataset.copy), label = button.lastChild;
  try { await navigator.clipboard.writeText(field.value); } catch { field.select(); return; }
  const before = label.textContent;
  label.textContent = _("Copied");
  setTimeout(() => { label.textContent = before; }, 2000);
});

// What was typed is not left behind unasked.
on("input", "form[data-guard]", (e, form) => { form.dataset.dirty = ""; });
on("submit", "form[data-guard]", (e, form) => { delete form.dataset.dirty; }, true);
document.addEventListener("htmx:after:request", e => {   // not saved after all
  const form = e.detail.ctx.sourceElement;
  if (form.matches?.("form[data-guard]") && e.detail.ctx.response.status >= 400) form.dataset.dirty = "";
});
addEventListener("beforeunload", e => { if ($("form[data-guard][data-dirty]")) e.preventDefault(); });
