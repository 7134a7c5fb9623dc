/**
 * The program of a page: plain JavaScript as text, which no tool touches, so that its hash is known (`PAGE_SCRIPT_HASH`) and the page
 * lets no other script run. It reads its numbers from the page's own JSON, and writes text as text.
 */
export const PAGE_SCRIPT = `"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const hex = (value) => "0x" + value.toString(16);
const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
function size(value) {
  let unit = 0;
  while (unit < UNITS.length - 1 && value >> BigInt(10 * (unit + 1)) !== 0n) unit++;
  const tenths = Number((value * 10n) >> BigInt(10 * unit)) / 10;
  return (unit === 0 ? String(value) : String(tenths)) + " " + UNITS[unit];
}
function make(name, attributes, text) {
  const one = document.createElementNS(SVG, name);
  for (const key of Object.keys(attributes)) one.setAttribute(key, attributes[key]);
  if (text !== undefined) one.textContent = text;
  return one;
}
class View {
  constructor(section, window_) {
    this.section = section;
    this.first = BigInt(window_.start);
    this.end = BigInt(window_.last) + 1n;
    this.starts = window_.ranges.map((range) => BigInt(range[0]));
    this.starts.push(this.end);
    this.kinds = window_.ranges.map((range) => range[1]);
    this.shares = window_.ranges.map((range) => range[2]);
    this.svg = section.querySelector(".view");
    this.status = section.querySelector(".status");
    this.list = section.querySelector(".inview");
    this.least = 16n;
    this.pointers = new Map();
    this.show(this.first, this.end - this.first);
    this.listen();
  }
  show(start, length) {
    const all = this.end - this.first;
    this.length = length > all ? all : length < this.least ? (all < this.least ? all : this.least) : length;
    const most = this.end - this.length;
    this.start = start < this.first ? this.first : start > most ? most : start;
    this.draw();
  }
  zoom(numerator, denominator, at) {
    const length = (this.length * numerator) / denominator;
    const share = at === undefined ? 0.5 : at;
    const fixed = this.start + this.part(this.length, share);
    this.show(fixed - this.part(length, share), length);
  }
  part(length, share) {
    return (length * BigInt(Math.round(share * 1000000))) / 1000000n;
  }
  pan(share) {
    const step = this.part(this.length, Math.abs(share));
    this.show(share < 0 ? this.start - step : this.start + step, this.length);
  }
  indexAt(address) {
    let low = 0;
    let high = this.starts.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= address) low = middle;
      else high = middle - 1;
    }
    return low;
  }
  live(direction) {
    const from = this.start + this.length / 2n;
    for (let i = this.indexAt(from) + direction; i >= 0 && i < this.kinds.length; i += direction) {
      if (this.kinds[i] !== "live") continue;
      const length = this.starts[i + 1] - this.starts[i];
      this.show(this.starts[i] - length / 2n, length * 2n);
      return;
    }
    this.status.textContent = "nothing live " + (direction > 0 ? "behind" : "before") + " the middle of the view";
  }
  draw() {
    const width = Math.max(100, Math.round(this.svg.clientWidth || 600));
    const height = 64;
    this.svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    while (this.svg.lastChild) this.svg.lastChild.remove();
    const last = this.start + this.length;
    const at = (address) => Number(((address - this.start) * BigInt(width * 1000)) / this.length) / 1000;
    let column = -1;
    let tallest = null;
    const rows = [];
    for (let i = this.indexAt(this.start); i < this.kinds.length && this.starts[i] < last; i++) {
      const from = this.starts[i] > this.start ? this.starts[i] : this.start;
      const to = this.starts[i + 1] < last ? this.starts[i + 1] : last;
      if (rows.length < 12) rows.push(i);
      const x = at(from);
      const wide = Math.max(0.6, at(to) - x);
      // Many in one unit of width: what is live among them is what is drawn.
      if (wide < 1 && Math.floor(x) === column && (tallest === "live" || this.kinds[i] !== "live")) continue;
      column = Math.floor(x);
      tallest = this.kinds[i];
      const share = this.kinds[i] === "live" ? this.shares[i] : 1;
      if (share < 1) this.svg.append(make("rect", { class: "free", x, y: 0, width: wide, height }));
      const bar = make("rect", { class: this.kinds[i], x, y: height * (1 - share), width: wide, height: height * share });
      bar.append(make("title", {}, this.words(i)));
      this.svg.append(bar);
    }
    this.svg.append(make("rect", { class: "frame", x: 0.5, y: 0.5, width: width - 1, height: height - 1 }));
    const all = this.end - this.first;
    const factor = all / this.length;
    this.status.textContent =
      hex(this.start) + " to " + hex(last - 1n) + ": " + size(this.length) + (factor > 1n ? ", 1/" + factor + " of the window" : ", all of it");
    this.list.replaceChildren(
      ...rows.map((i) => {
        const item = document.createElement("li");
        item.textContent = this.words(i);
        return item;
      }),
    );
  }
  words(i) {
    const length = this.starts[i + 1] - this.starts[i];
    const share = this.kinds[i] === "live" && this.shares[i] < 1 ? " in part" : "";
    return hex(this.starts[i]) + "-" + hex(this.starts[i + 1] - 1n) + ": " + size(length) + " " + this.kinds[i] + share;
  }
  act(name) {
    if (name === "in") this.zoom(1n, 2n);
    if (name === "out") this.zoom(2n, 1n);
    if (name === "left") this.pan(-0.25);
    if (name === "right") this.pan(0.25);
    if (name === "all") this.show(this.first, this.end - this.first);
    if (name === "next") this.live(1);
    if (name === "previous") this.live(-1);
  }
  listen() {
    const keys = { "+": "in", "=": "in", "-": "out", "_": "out", ArrowLeft: "left", ArrowRight: "right", Home: "all", 0: "all", n: "next", p: "previous" };
    this.svg.addEventListener("keydown", (event) => {
      const name = keys[event.key];
      if (name === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.act(name);
    });
    for (const button of this.section.querySelectorAll("button[data-act]")) {
      button.addEventListener("click", () => this.act(button.dataset.act));
    }
    for (const button of this.section.querySelectorAll("button[data-start]")) {
      button.addEventListener("click", () => {
        const [start, last] = [BigInt(button.dataset.start), BigInt(button.dataset.last)];
        this.show(start, last - start + 1n);
        this.svg.focus();
      });
    }
    const share = (event) => {
      const box = this.svg.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / Math.max(1, box.width)));
    };
    this.svg.addEventListener("wheel", (event) => {
      if (event.deltaY === 0) return;
      event.preventDefault();
      if (event.deltaY < 0) this.zoom(3n, 4n, share(event));
      else this.zoom(4n, 3n, share(event));
    }, { passive: false });
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, share(event));
    });
    const up = (event) => this.pointers.delete(event.pointerId);
    this.svg.addEventListener("pointerup", up);
    this.svg.addEventListener("pointercancel", up);
    this.svg.addEventListener("pointermove", (event) => this.moved(event, share(event)));
    window.addEventListener("resize", () => this.draw());
  }
  moved(event, now) {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) return;
    if (this.pointers.size === 1) this.pan(before - now);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const [was, is] = [Math.abs(before - other), Math.abs(now - other)];
      if (was > 0.01 && is > 0.01) this.zoom(BigInt(Math.round(was * 10000)), BigInt(Math.round(is * 10000)), other);
    }
    this.pointers.set(event.pointerId, now);
  }
}
const sections = [...document.querySelectorAll("section.window")];
sections.forEach((section, i) => {
  section.querySelector(".tools").hidden = false;
  new View(section, data.windows[i]);
});
const growth = document.querySelector(".growth");
if (growth !== null) {
  let width = 100;
  const tools = document.querySelector(".growth-tools");
  tools.hidden = false;
  const set = (next) => {
    const middle = (growth.scrollLeft + growth.clientWidth / 2) / growth.scrollWidth;
    width = Math.min(1600, Math.max(100, next));
    growth.firstElementChild.style.width = width + "%";
    growth.scrollLeft = middle * growth.scrollWidth - growth.clientWidth / 2;
    document.querySelector(".growth-status").textContent = "drawn at " + Math.round(width) + " %";
  };
  const act = (name) => set(name === "in" ? width * 1.5 : name === "out" ? width / 1.5 : 100);
  for (const button of tools.querySelectorAll("button")) button.addEventListener("click", () => act(button.dataset.act));
  growth.addEventListener("keydown", (event) => {
    const name = { "+": "in", "=": "in", "-": "out", "0": "all", Home: "all" }[event.key];
    if (name === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(name);
  });
}
`;

/** `sha256` of the program in base64, as a Content-Security-Policy has it. A test holds it against the text. */
export const PAGE_SCRIPT_HASH = "sha256-3najJCPY2cO+DLcZFJADk7EJbgcK9AivDtu+G6UOoMo=";
