// The search over everything: a combobox whose list is filled by the server. What was opened from it of late stands first
// while nothing is typed; it is kept in this browser, for this person, until the log-out.
import { $, $$, icon, make, on, _ } from "./dom.js";

const dialog = $("#palette"), field = dialog && $("input", dialog), hits = $("#hits");
const OPENED = "opened", MOST = 5;
const options = () => $$("[role=option]:not([aria-disabled])", hits);
const choose = option => {
  options().forEach(o => o.setAttribute("aria-selected", o === option));
  if (option) { field.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); } else field.removeAttribute("aria-activedescendant");
};

const me = document.body.dataset.me ?? "";
const opened = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(OPENED) || "{}");
    return kept.who === me ? kept.hits : [];
  } catch { return []; }
};
const keep = option => {
  const hit = { href: option.dataset.href, label: $("span", option).textContent, icon: $("use", option)?.getAttribute("href").split("#")[1] ?? "file-text" };
  localStorage.setItem(OPENED, JSON.stringify({ who: me, hits: [hit, ...opened().filter(h => h.href !== hit.href)].slice(0, MOST) }));
};
const showOpened = () => {
  const recent = opened();
  if (field.value || !recent.length || $("[data-opened]", hits)) return;
  const list = make("ul", ""), head = make("h2", "", _("Opened of late"));
  head.setAttribute("role", "presentation");
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", _("Opened of late"));
  list.dataset.opened = "";
  recent.forEach((hit, at) => {
    const option = make("li", "", icon(hit.icon), make("span", "", hit.label));
    option.id = `opened-${at}`;
    option.dataset.href = hit.href;
    option.setAttribute("role", "option");
    list.append(option);
  });
  hits.prepend(head, list);
};

if (dialog) {
  new MutationObserver(() => { if (dialog.open && !field.value) field.dispatchEvent(new Event("look")); }).observe(dialog, { attributeFilter: ["open"] });
  dialog.addEventListener("close", () => { field.value = ""; hits.replaceChildren(); choose(null); });
  document.addEventListener("htmx:after:settle", e => { if (e.target === hits) { showOpened(); choose(options()[0]); } });
  field.addEventListener("keydown", e => {
    const found = options(), at = found.findIndex(o => o.getAttribute("aria-selected") === "true");
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      if (found.length) choose(found[(at + (e.key === "ArrowDown" ? 1 : -1) + found.length) % found.length]);
    } else if (e.key === "Home" && e.ctrlKey) {
      e.preventDefault();
      choose(found[0]);
    } else if (e.key === "Enter") {
      e.preventDefault();
      found[at]?.dispatchEvent(new MouseEvent("click", { bubbles: true, ctrlKey: e.ctrlKey, metaKey: e.metaKey }));
    } else if (e.key === "Escape") {   // else the first Esc would only empty the field
      e.preventDefault();
      dialog.close();
    }
  });
}
on("click", "#hits [data-href]", (e, option) => {
  keep(option);
  if (e.ctrlKey || e.metaKey) open(option.dataset.href, "_blank", "noopener"); else location.assign(option.dataset.href);
});
on("submit", "form[action='/logout']", () => localStorage.removeItem(OPENED));
