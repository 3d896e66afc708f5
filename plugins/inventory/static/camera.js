// Reads codes with the camera, wherever a scanner could type them.
//   button[data-camera="ID"] opens the dialog; what is read stands in the field ID then
//   data-sends: the field's form is sent, as Enter at the end of a scanner's code does · data-many: one code after the other
const KINDS = ["code_128", "ean_13", "ean_8", "upc_a", "qr_code", "data_matrix"];
const AWAY = 2000;      // a code is read anew when it was out of the picture for so long
const MISSED = 6;       // and in so many pictures, however slowly they are read: half of them are looked at on their side
const SHOWN = 700;      // how long what was read is shown
const SLOW = 12000;     // when nothing was read for so long, it is said what helps
const WIDEST = 1000;    // points of a picture that is looked at
const KEPT = "inventory-camera";

const $ = (selector, root = document) => root.querySelector(selector);
const wait = time => new Promise(done => setTimeout(done, time));
const kept = store => ({
  get: name => { try { return JSON.parse(store().getItem(name)); } catch { return null; } },
  set: (name, value) => { try { value == null ? store().removeItem(name) : store().setItem(name, JSON.stringify(value)); } catch { /* a browser that keeps nothing */ } },
});
const here = kept(() => sessionStorage), device = kept(() => localStorage);

class Trouble extends Error {}

/* ---------- who reads ---------- */

/** The browser itself, where it knows all the kinds. */
const native = async () => {
  try {
    const known = await window.BarcodeDetector.getSupportedFormats();
    if (!KINDS.every(kind => known.includes(kind))) return null;
    const detector = new window.BarcodeDetector({ formats: KINDS });
    return async canvas => (await detector.detect(canvas))[0]?.rawValue ?? "";
  } catch {
    return null;
  }
};

const library = box => new Promise((done, failed) => {
  const worker = new Worker(box.dataset.reader);
  const read = canvas => new Promise(answer => {
    const picture = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    worker.onmessage = e => answer(e.data.code ?? "");
    worker.postMessage({ picture }, [picture.data.buffer]);
  });
  worker.onmessage = () => done(read);
  worker.onerror = e => { e.preventDefault(); worker.terminate(); failed(new Trouble("reader")); };
  worker.postMessage({ library: box.dataset.library });
});

let reader;
const readerOf = box => reader ??= native().then(found => found ?? library(box)).catch(error => { reader = undefined; throw error; });

/* ---------- the camera ---------- */

const secure = () => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
const allowed = () => (document.permissionsPolicy ?? document.featurePolicy)?.allowsFeature("camera") ?? true;

const ask = video => navigator.mediaDevices.getUserMedia({ audio: false, video: { width: { ideal: 1280 }, height: { ideal: 720 }, ...video } });

const NAMED = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "none", OverconstrainedError: "none" };
const cameraOf = async () => {
  const chosen = device.get(KEPT), anyone = { facingMode: { ideal: "environment" } };
  try {
    if (!chosen) return await ask(anyone);
    return await ask({ deviceId: { exact: chosen } }).catch(error => {
      if (NAMED[error.name] !== "none") throw error;
      device.set(KEPT, null);
      return ask(anyone);
    });
  } catch (error) {
    throw new Trouble(NAMED[error.name] ?? "busy");
  }
};

/** Torch, other cameras and focus, as far as this camera has them. */
const equip = async (box, track) => {
  const can = track.getCapabilities?.() ?? {}, torch = $("[data-torch]", box), other = $("[data-other]", box);
  torch.hidden = !can.torch;
  torch.setAttribute("aria-pressed", "false");
  if (can.focusMode?.includes("continuous")) track.applyConstraints({ advanced: [{ focusMode: "continuous" }] }).catch(() => {});
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(one => one.kind === "videoinput");
  other.hidden = cameras.length < 2;
  other.onclick = () => {
    const at = cameras.findIndex(one => one.deviceId === track.getSettings().deviceId);
    device.set(KEPT, cameras[(at + 1) % cameras.length].deviceId);
    begin(box);
  };
  torch.onclick = async () => {
    const on = torch.getAttribute("aria-pressed") !== "true";
    await track.applyConstraints({ advanced: [{ torch: on }] }).then(() => torch.setAttribute("aria-pressed", String(on)), () => { torch.hidden = true; });
  };
};

/* ---------- the dialog ---------- */

let now = null;              // what runs: {box, stream}
let button = null;           // what opened the dialog
let held = { code: "", at: 0 };   // what was read last, and is not read again while it is in the picture

const say = (box, text, code = "") => {
  const said = $("[data-said]", box), shown = $("[data-code]", box);
  if (said.textContent !== text) said.textContent = text;
  if (shown.textContent !== code) shown.textContent = code;
};

const stop = () => {
  now?.stream?.getTracks().forEach(track => track.stop());
  now = null;
};

const show = (box, trouble = "") => {
  box.querySelectorAll("[data-trouble]").forEach(one => { one.hidden = one.dataset.trouble !== trouble; });
  $("[data-picture]", box).hidden = Boolean(trouble);
  $("[data-picture]", box).toggleAttribute("data-read", false);
  $("[data-again]", box).hidden = !["refused", "busy", "reader"].includes(trouble);
  if (trouble) say(box, "");
};

/** What of the picture lies in the frame, as it is shown: the picture covers its box. */
const framed = (box, video, canvas) => {
  const all = video.getBoundingClientRect(), frame = $("[data-frame]", box).getBoundingClientRect();
  const scale = Math.max(all.width / video.videoWidth, all.height / video.videoHeight);
  const width = frame.width / scale, height = frame.height / scale;
  const x = (video.videoWidth - width) / 2, y = (video.videoHeight - height) / 2, smaller = Math.min(1, WIDEST / width);
  canvas.width = Math.max(1, Math.round(width * smaller));
  canvas.height = Math.max(1, Math.round(height * smaller));
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(video, x, y, width, height, 0, 0, canvas.width, canvas.height);
};

/** The next code that was read twice alike and is not the one that was there before; "" when the dialog was closed. */
const next = async (run, read) => {
  const { box } = run, video = $("video", box), canvas = document.createElement("canvas"), began = performance.now();
  let before = "", missed = 0;
  held.at = began;
  while (now === run) {
    if (video.videoWidth && !video.paused) {
      framed(box, video, canvas);
      const code = (await read(canvas)).replace(/[\u0000-\u001f\u007f]/g, "").trim().slice(0, 200), time = performance.now();
      if (now !== run) break;
      if (code && code === held.code) {
        [held.at, missed] = [time, 0];
        say(box, box.dataset.twice, code);
      } else {
        if (++missed >= MISSED && time - held.at > AWAY) held.code = "";
        if (code && code === before) { held = { code, at: time }; return code; }
        before = code || before;
        say(box, time - began > SLOW ? box.dataset.slow : box.dataset.look);
      }
    }
    await wait(60);
  }
  return "";
};

const begin = async box => {
  stop();
  const run = now = { box, stream: null };
  show(box);
  say(box, box.dataset.waiting);
  try {
    if (!secure()) throw new Trouble("insecure");
    const [stream, read] = await Promise.all([
      cameraOf().then(found => { run.stream = found; if (now !== run) found.getTracks().forEach(track => track.stop()); return found; }),
      readerOf(box),
    ]);
    if (now !== run) return;
    const video = $("video", box), [track] = stream.getVideoTracks();
    track.onended = () => { if (now === run) { stop(); show(box, "busy"); } };
    video.srcObject = stream;
    video.classList.toggle("mirrored", track.getSettings().facingMode === "user");
    await Promise.all([video.play().catch(() => {}), equip(box, track)]);
    const code = await next(run, read);
    if (code) await take(run, code);
  } catch (error) {
    if (now !== run) return;
    stop();
    show(box, error instanceof Trouble ? error.message : "busy");
  }
};

/** What was read is shown, then does what it does when it is typed. */
const take = async (run, code) => {
  const { box } = run, field = document.getElementById(button.dataset.camera), many = "many" in button.dataset && $("[data-many]", box).checked;
  $("video", box).pause();
  $("[data-picture]", box).toggleAttribute("data-read", true);
  say(box, box.dataset.read, code);
  await wait(SHOWN);
  if (now !== run || !field) return;
  here.set(KEPT, many ? { at: location.pathname, field: field.id, held: code } : null);
  box.close();
  field.value = code;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
  if ("sends" in button.dataset) field.form.requestSubmit();
};

const open = from => {
  const box = $("dialog#camera");
  if (!box || $("dialog[open]")) return;
  button = from;
  $("[data-one-more]", box).hidden = !("many" in from.dataset);
  box.showModal();
  begin(box);
};

/** Where the dialog is asked for again: after the drawer of what was read, or on the page that it led back to. */
const resume = () => {
  const wanted = here.get(KEPT);
  here.set(KEPT, null);
  const from = wanted?.at === location.pathname && $(`button[data-camera="${wanted.field}"]`);
  if (!from) return;
  held = { code: wanted.held, at: performance.now() };
  open(from);
};

document.addEventListener("click", e => {
  const from = e.target.closest?.("button[data-camera]");
  if (from) {
    held = { code: "", at: 0 };
    if (allowed() || !secure()) { here.set(KEPT, null); open(from); return; }
    // A tab led here without loading the page, and the one that was loaded may not use the camera: this one may.
    here.set(KEPT, { at: location.pathname, field: from.dataset.camera, held: "" });
    location.reload();
  } else if (e.target.closest?.("dialog#camera [data-again]")) {
    begin(e.target.closest("dialog"));
  } else if (e.target.closest?.("dialog#camera [data-type]")) {
    e.target.closest("dialog").close();
    document.getElementById(button.dataset.camera)?.focus();
  }
});
document.addEventListener("close", e => {
  if (e.target.id === "camera") stop();
  else if (e.target.id === "plan" && here.get(KEPT)) setTimeout(() => { if (!leaving && !$("dialog[open]")) resume(); }, 500);
}, true);
let leaving = false;   // what was read is done, and its page is loaded anew: that one goes on
addEventListener("beforeunload", () => { leaving = true; });
addEventListener("pageshow", () => { leaving = false; });
document.addEventListener("visibilitychange", () => {   // another app or tab is in front: the camera is let go
  const box = $("dialog#camera[open]");
  if (!box) return;
  if (document.hidden) stop(); else begin(box);
});
resume();
