// Tabs that do not fit move into "More"; without script, and on phones, the row scrolls.
import { $, $$, make, onContent, _ } from "./dom.js";

const PHONE = 768, fits = new WeakMap();
let made = 0;

onContent(root => $$(".t-tabs:not([data-fitted])", root).forEach(nav => {
  nav.dataset.fitted = "";
  const menu = make("div", "dropdown-menu dropdown-menu-end"), button = make("button", "dropdown-toggle", _("More")), more = make("div", "t-menu t-more", button, menu);
  menu.id = `more-tabs-${++made}`; menu.popover = "auto"; menu.setAttribute("role", "group"); menu.setAttribute("aria-label", _("More of %(name)s", { name: nav.getAttribute("aria-label") }));
  button.type = "button"; button.setAttribute("popovertarget", menu.id);
  more.hidden = true;
  nav.append(more);
  const tabs = $$(":scope > a", nav), current = $("[aria-current]", nav);
  const fit = () => {
    tabs.forEach(tab => { tab.hidden = false; });
    more.hidden = true;
    nav.classList.remove("has-more");
    if (nav.scrollWidth <= nav.clientWidth) return;
    if (innerWidth < PHONE) { if (current) nav.scrollLeft = current.offsetLeft - nav.offsetLeft - 60; return; }
    more.hidden = false;
    nav.classList.add("has-more");
    const room = nav.clientWidth - more.offsetWidth - 16 - (current ? current.offsetWidth : 0);
    let used = 0;
    menu.replaceChildren();
    for (const tab of tabs) {
      if (tab === current) continue;   // the current one always stays in the row
      used += tab.offsetWidth + 4;
      if (used <= room) continue;
      const copy = make("a", "dropdown-item", tab.firstChild.textContent);
      copy.href = tab.href; copy.title = tab.title;
      menu.append(copy);
      tab.hidden = true;
    }
  };
  fits.set(nav, fit);
  document.fonts.ready.then(fit);
  new ResizeObserver(fit).observe(nav);
}));

// Counts that come after the page take room
document.addEventListener("htmx:after:settle", e => fits.get(e.target.closest?.(".t-tabs"))?.());

// A tab that was followed by the keyboard keeps the focus after its page came.
let followed;
document.addEventListener("htmx:before:request", e => { followed = e.detail.ctx.sourceElement.closest?.(".t-tabs")?.getAttribute("aria-label"); });
document.addEventListener("htmx:after:settle", e => {
  if (!followed || e.target.id !== "main") return;
  $(`.t-tabs[aria-label="${CSS.escape(followed)}"] [aria-current]`)?.focus({ preventScroll: true });
  followed = null;
});
