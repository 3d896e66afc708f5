// Small helpers for all modules.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Listen on the document for an event of elements that match, also of those that come later. */
export const on = (event, selector, act, options) =>
  document.addEventListener(event, e => { const found = e.target.closest?.(selector); if (found) act(e, found); }, options);

/** Do it for what is there now and for all that htmx puts in later. Must do no harm when done twice. */
export const onContent = act => { act(document); document.addEventListener("htmx:after:process", e => act(e.target)); };

const texts = JSON.parse($("meta[name=texts]")?.content || "{}");

/** A text in the language of the page, its values filled in. */
export const _ = (text, values = {}) => (texts[text] ?? text).replace(/%\((\w+)\)s/g, (place, name) => values[name] ?? place);

export const visible = element => !!element && element.checkVisibility({ visibilityProperty: true });

/** Tell the server something that the page shows already. Gives whether it was taken. */
export const send = async (address, values) => {
  const headers = JSON.parse(document.body.getAttribute("hx-headers:inherited") || "{}");
  try {
    const answer = await fetch(address, { method: "POST", headers, body: new URLSearchParams(values) });
    return answer.ok && !answer.redirected;
  } catch {
    return false;
  }
};

/** An icon of the sprite, as the macro `icon` draws it. */
export const icon = name => {
  const address = $("svg use")?.getAttribute("href")?.split("#")[0] ?? "";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon"); svg.setAttribute("aria-hidden", "true"); use.setAttribute("href", `${address}#${name}`); svg.append(use);
  return svg;
};

/** An element with a class and its children. */
export const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
};
