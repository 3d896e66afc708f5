// What comes by itself: the activity of a record, the progress of a job.
import { $, $$, _ } from "./dom.js";

const sign = element => $("[data-live]", element.closest(".t-card") ?? element);
const say = (element, live) => {
  const mark = sign(element);
  if (!mark) return;
  mark.classList.toggle("off", !live);
  mark.textContent = live ? _("Live") : _("Reconnecting");
};
document.addEventListener("htmx:sse:after:connection", e => say(e.target, true));
document.addEventListener("htmx:sse:error", e => say(e.target, false));
document.addEventListener("htmx:sse:close", e => { if (e.detail.reason === "ended") say(e.target, false); });

// a new line stands out for four seconds; a feed keeps no more than it says
document.addEventListener("htmx:sse:after:message", e => {
  const feed = e.target;
  if (!feed.matches?.(".t-feed")) return;
  $(".t-feed-none", feed)?.remove();
  const positions = new Set();
  for (const line of $$(":scope > li[data-position]", feed)) {
    if (positions.has(line.dataset.position)) line.remove();   // sent again after a reconnection
    positions.add(line.dataset.position);
  }
  $$(":scope > li", feed).slice(Number(feed.dataset.keep) || 50).forEach(line => line.remove());
  $$(":scope > .fresh", feed).forEach(line => setTimeout(() => line.classList.remove("fresh"), 4000));
});
