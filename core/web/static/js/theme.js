// Colours and width of the menu: shown at once, kept with the user, put back if that fails.
import { $, $$, on, send, _ } from "./dom.js";
import { say } from "./toasts.js";

const root = document.documentElement, AT = "/profile/preferences";
const now = () => root.dataset.bsTheme || "auto";
const dark = () => now() === "dark" || (now() === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);

const showTheme = theme => {
  if (theme === "auto") delete root.dataset.bsTheme; else root.dataset.bsTheme = theme;
  $$("[data-theme-set]").forEach(b => b.setAttribute("aria-pressed", b.dataset.themeSet === theme));
  document.dispatchEvent(new Event("themed"));
};
const setTheme = async theme => {
  const before = now();
  showTheme(theme);
  if (!(await send(AT, { theme }))) { showTheme(before); say(_("The colours could not be kept.")); }
};
on("click", "[data-theme-toggle]", () => setTheme(dark() ? "light" : "dark"));
on("click", "[data-theme-set]", (e, button) => setTheme(button.dataset.themeSet));

const narrow = () => $(".t-shell").classList.contains("narrow");
const showFold = on => {
  $(".t-shell").classList.toggle("narrow", on);
  $("[data-fold]").setAttribute("aria-pressed", on);
  $$("[data-fold-set]").forEach(b => b.setAttribute("aria-pressed", b.dataset.foldSet === (on ? "yes" : "no")));
};
export const fold = async (on = !narrow()) => {
  if (!$(".t-shell")) return;
  const before = narrow();
  showFold(on);
  if (!(await send(AT, { narrow: on ? "yes" : "no" }))) { showFold(before); say(_("The width of the menu could not be kept.")); }
};
on("click", "[data-fold]", () => fold());
on("click", "[data-fold-set]", (e, button) => fold(button.dataset.foldSet === "yes"));
