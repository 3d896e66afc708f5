// The keyboard (ui: Keys). Elements say which letter presses them: data-key="n"; links of the menu which one goes there: data-go="c".
import { $, $$, on, visible } from "./dom.js";
import { open } from "./dialogs.js";
import { clearSelection, step, tick } from "./lists.js";
import { fold } from "./theme.js";

const { tinykeys } = await import($("#tinykeys").href);
const OFF = "letters-off";
const typing = e => e.target.matches?.("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]");

// single letters: not while typing, not in dialogs and menus, and only if the user wants them (WCAG 2.1.4)
const letter = act => e => {
  if (typing(e) || e.defaultPrevented || $("dialog[open], .dropdown-menu:popover-open") || localStorage.getItem(OFF)) return;
  if (act(e) !== false) e.preventDefault();
};
const press = key => () => {
  const found = $$(`[data-key="${key}"]`).find(x => x.matches("main *") && (visible(x) || x.closest("[popover]")));
  if (!found) return false;
  if (found.matches("input, textarea, select")) found.focus(); else found.click();
};
const editInView = () => {
  const edit = $$("[data-edit]").filter(visible).find(b => b.getBoundingClientRect().bottom > 60);
  if (!edit) return false;
  edit.click();
};
const find = letter(() => open("palette"));
const help = letter(() => open("keys"));
const confirm = e => {
  const dialog = $("dialog[open]"), section = e.target.closest?.(".t-editing") ?? (dialog ? null : $(".t-editing"));
  const form = e.target.closest?.("main form");
  const button = dialog ? $(".btn-primary:not(:disabled), .btn-danger:not(:disabled)", dialog)
    : section ? $("[data-save]", section) : form && $(".btn-primary:not(:disabled)", form);
  if (button) { e.preventDefault(); button.click(); }
};
const go = Object.fromEntries($$("[data-go]").map(link => [`g ${link.dataset.go}`, letter(() => link.click())]));

tinykeys(window, {
  ...go,   // before the letters that stand alone: the first that fits is taken
  "$mod+k": e => { e.preventDefault(); open("palette"); },
  "$mod+Enter": confirm,
  "[Shift]+/": find,
  "[Shift]+?": help,
  "(\\[)": letter(() => { fold(); }), "Control+Alt+(\\[)": letter(() => { fold(); }),   // AltGr on many keyboards
  "j": letter(() => step(1) || press("j")()), "k": letter(() => step(-1) || press("k")()),
  "x": letter(() => tick(false)), "Shift+x": letter(() => tick(true)),
  "Space": e => { if (e.target.matches?.("[data-rows] a")) letter(() => tick(false))(e); },
  "e": letter(editInView),
  ...Object.fromEntries(["n", "p", "m"].map(key => [key, letter(press(key))])),
  "Escape": e => { if (!typing(e) && !$("dialog[open], :popover-open:not(.t-toasts)")) clearSelection(); },
}, { ignore: e => e.isComposing });

const box = $("[data-letters]");
if (box) box.checked = !localStorage.getItem(OFF);
on("change", "[data-letters]", (e, tickbox) => { if (tickbox.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "1"); });
