// Requests of htmx: buttons that wait, answers that are errors, a lost connection.
import { $, $$, icon, make, on, _ } from "./dom.js";

const waits = new WeakMap();
const sender = ctx => ctx.request.submitter ?? $("button[type=submit]", ctx.sourceElement) ?? ctx.sourceElement;

document.addEventListener("htmx:before:request", e => {
  const ctx = e.detail.ctx, button = sender(ctx);
  if (document.documentElement.dataset.offline !== undefined && ctx.request.method !== "GET") {
    e.preventDefault();
    $("#offline")?.focus();
    return;
  }
  if (button?.matches?.("button, .btn")) waits.set(ctx, [button, setTimeout(() => button.setAttribute("aria-busy", "true"), 200)]);
});
document.addEventListener("htmx:finally:request", e => {
  const [button, timer] = waits.get(e.detail.ctx) ?? [];
  clearTimeout(timer);
  button?.removeAttribute("aria-busy");
});

// A part that comes by itself and did not says so in its own place, and can be asked for again.
const sayMissing = part => { part.removeAttribute("aria-busy"); $("[data-missing]", part).hidden = false; };
const missing = ctx => {
  const part = ctx?.sourceElement?.closest?.("[data-comes]");
  if (part) sayMissing(part);
  return !!part;
};
document.addEventListener("htmx:error", e => missing(e.detail.ctx));
addEventListener("load", () => $$("[data-comes][data-htmx-powered]:not(.htmx-request)").forEach(sayMissing));   // it failed before this was here
on("click", "[data-again]", (e, button) => {
  const part = button.closest("[data-comes]");
  $("[data-missing]", part).hidden = true;
  part.setAttribute("aria-busy", "true");
  htmx.trigger(part, "again");
});

// An error that comes as a banner goes into the dialog that asked, else on top of the page: never into the target.
document.addEventListener("htmx:after:request", e => {
  const ctx = e.detail.ctx;
  if (ctx.response.status < 400) return;
  if (missing(ctx)) { ctx.swap = "none"; return; }
  if (!ctx.text.includes("data-problem")) return;
  const dialog = ctx.sourceElement.closest?.("dialog[open]");
  ctx.target = (dialog && place(dialog)) || $("#problem");
  ctx.swap = "innerHTML";
  ctx.select = null;
});
const place = dialog => {
  const body = $(".t-dbody", dialog);
  if (!body) return null;
  const found = $(":scope > [data-problem-place]", body) ?? make("div", "");
  found.dataset.problemPlace = "";
  found.setAttribute("role", "alert");
  body.prepend(found);
  return found;
};
document.addEventListener("htmx:after:settle", e => {
  const problem = e.target.querySelector?.(":scope > [data-problem]");
  if (problem) { problem.scrollIntoView({ block: "nearest" }); problem.focus({ preventScroll: true }); }
});
on("click", "[data-problem-off]", (e, button) => button.closest("[data-problem]").remove());

// A lost connection: a banner under the top bar; nothing is sent until it is back.
const offline = lost => {
  const banner = $("#offline");
  if (lost === !!banner) return;
  if (!lost) { banner.remove(); delete document.documentElement.dataset.offline; return; }
  document.documentElement.dataset.offline = "";
  const made = make("div", "t-banner k-warn t-offline", icon("wifi-off"), make("div", "", _("No connection. What you type stays here; saving works again once it is back.")));
  made.id = "offline"; made.tabIndex = -1; made.setAttribute("role", "alert");
  $("#problem, .b-page")?.before(made);
};
addEventListener("offline", () => offline(true));
addEventListener("online", () => offline(false));
document.addEventListener("htmx:error", e => {
  if (e.detail.error instanceof TypeError && e.detail.ctx && !e.detail.ctx.response) ask();
});
document.addEventListener("htmx:after:request", () => offline(false));
let asking;
const ask = () => {   // the server may be gone while the network is there: ask until it answers
  offline(true);
  clearTimeout(asking);
  asking = setTimeout(async () => { try { await fetch("/health", { cache: "no-store" }); offline(false); } catch { ask(); } }, 3000);
};

// Forms that load a page: sent once, however often the button is pressed. Those that give a file, or load it beside, can be sent anew.
document.addEventListener("submit", e => {
  const form = e.target, button = e.submitter;
  if (e.defaultPrevented || form.method === "dialog" || form.matches("[hx-post], [hx-put], [hx-get], [hx-delete]")) return;
  if (form.dataset.sent !== undefined) { e.preventDefault(); return; }
  form.dataset.sent = "";
  if (form.target || form.matches("[data-file]")) { setTimeout(() => { delete form.dataset.sent; }, 1000); return; }   // the page stays
  if (button) setTimeout(() => button.setAttribute("aria-busy", "true"), 200);
});
addEventListener("pageshow", () => $$("form[data-sent]").forEach(form => { delete form.dataset.sent; $$("[aria-busy]", form).forEach(b => b.removeAttribute("aria-busy")); }));

// A page that is not available comes back by itself: it is loaded again once it answers.
const retry = $("[data-retry]");
if (retry) setInterval(async () => {
  try { const answer = await fetch(location.href, { cache: "no-store" }); if (answer.status !== 503) location.reload(); } catch { /* still away */ }
}, 1000 * Number(retry.dataset.retry));
