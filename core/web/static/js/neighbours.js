// The record before and the one after, in the order of the list that one came from; the way back leads to that list as it was.
import { $, $$, on, onContent, _ } from "./dom.js";

const OF = "records of ";
const recordOf = path => path.match(/^(\/[a-z_-]+)\/(\d+)(?=\/|$)/);

on("click", "[data-rows] > tr a[href]", (e, link) => {
  const list = recordOf(new URL(link.href).pathname)?.[1];
  const paths = $$("[data-rows] > tr", link.closest("table").parentElement).map(row => $(".c-name a", row)?.getAttribute("href")).filter(Boolean);
  if (!list || location.pathname !== list) return;
  sessionStorage.setItem(OF + list, JSON.stringify({ back: location.pathname + location.search, paths }));
}, { capture: true });

onContent(root => $$("[data-neighbours]", root).forEach(nav => {
  const found = recordOf(location.pathname), kept = found && JSON.parse(sessionStorage.getItem(OF + found[1]) ?? "null");
  const at = kept ? kept.paths.indexOf(found[0]) : -1;
  if (at < 0) return;
  for (const [link, path] of [[$("[data-key=k]", nav), kept.paths[at - 1]], [$("[data-key=j]", nav), kept.paths[at + 1]]]) {
    if (path) link.href = path; else link.removeAttribute("href");
    link.setAttribute("aria-disabled", String(!path));
  }
  $("[data-place]", nav).textContent = _("%(place)s of %(all)s", { place: at + 1, all: kept.paths.length });
  nav.hidden = false;
  const back = $(`.t-crumbs a[href="${found[1]}"]`, nav.parentElement);
  if (back) back.href = kept.back;
}));
