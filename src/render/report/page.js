"use strict";
// The page of a report. `data` is the JSON that src/commands/report/ has made; numbers come as base64 of little-endian arrays.
const data = JSON.parse(document.getElementById("data").textContent);

// --- Small tools -----------------------------------------------------------------------------------------------------

/** An element with properties and children; text is never read as HTML. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "style") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u64: BigUint64Array };

/** The array behind `{type, base64}`. */
function decode(packed) {
  const text = atob(packed.base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new ARRAYS[packed.type](bytes.buffer);
}

/** A number as people read it: five significant digits. */
function shown(x) {
  if (typeof x === "bigint") return String(x);
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (Number.isInteger(x) && Math.abs(x) < 1e15) return x.toLocaleString("en-US");
  const size = Math.abs(x);
  return size >= 1e7 || size < 1e-4 ? x.toExponential(3) : Number(x.toPrecision(5)).toLocaleString("en-US", { maximumFractionDigits: 8 });
}

/** A number on an axis. */
function tickText(x) {
  const size = Math.abs(x);
  if (size >= 1e6) return Number((x / 1e6).toPrecision(4)) + "M";
  if (size >= 1e4) return Number((x / 1e3).toPrecision(4)) + "k";
  return String(Number(x.toPrecision(6)));
}

/** Round numbers within [low, high], about `count` of them. */
function ticks(low, high, count) {
  const raw = (high - low) / count;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999) ?? 10);
  const result = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) result.push(i * step);
  return result;
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Viridis (van der Walt and Smith, CC0) at eleven points; Okabe and Ito's colours for what has no order.
const VIRIDIS = [[68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140], [34, 168, 132], [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37]];
const NAMED = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0], [240, 228, 66], [140, 140, 140]];
function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * 10, i = Math.min(Math.floor(at), 9), t = at - i;
  return VIRIDIS[i].map((c, k) => Math.round(c + (VIRIDIS[i + 1][k] - c) * t));
}
const UNKNOWN = [154, 160, 166];
const css = ([r, g, b]) => `rgb(${r},${g},${b})`;

const redraws = new Set();
let pending = false;
function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; redraws.forEach((draw) => draw()); });
}
let widthBefore = 0;
new ResizeObserver(([entry]) => {
  if (entry.contentRect.width !== widthBefore) { widthBefore = entry.contentRect.width; redraw(); }
}).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

/** Makes a canvas as sharp as the screen and as high as `height(width)` says; returns its context and size in CSS pixels. */
function prepare(canvas, height) {
  const scale = Math.min(devicePixelRatio || 1, 2), width = Math.max(Math.round(canvas.parentElement.clientWidth), 60), tall = Math.round(height(width));
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(tall * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(tall * scale);
    canvas.style.height = tall + "px";
  }
  const to = canvas.getContext("2d");
  to.setTransform(scale, 0, 0, scale, 0, 0);
  to.clearRect(0, 0, width, tall);
  to.font = "12px system-ui, Ubuntu, 'DejaVu Sans', Arial, sans-serif";
  to.fillStyle = style("--ink");
  to.strokeStyle = style("--muted");
  to.lineWidth = 1;
  return { to, width, height: tall, scale };
}

/** Ticks and names of both axes around a box. */
function drawAxes(to, box, x, y) {
  to.strokeRect(box.left, box.top, box.width, box.height);
  to.textAlign = "center";
  for (const t of x.ticks) {
    const px = box.left + x.share(t) * box.width;
    to.beginPath(); to.moveTo(px, box.top + box.height); to.lineTo(px, box.top + box.height + 4); to.stroke();
    to.fillText(tickText(t / (x.unit ?? 1)), px, box.top + box.height + 16);
  }
  to.fillText(x.name, box.left + box.width / 2, box.top + box.height + 33, box.width);
  to.textAlign = "right";
  for (const t of y.ticks) {
    const py = box.top + (1 - y.share(t)) * box.height;
    to.beginPath(); to.moveTo(box.left, py); to.lineTo(box.left - 4, py); to.stroke();
    to.fillText(tickText(t), box.left - 7, py + 4);
  }
  if (y.name) {
    to.save(); to.translate(11, box.top + box.height / 2); to.rotate(-Math.PI / 2); to.textAlign = "center";
    to.fillText(y.name, 0, 0, box.height); to.restore();
  }
}

/** The maps of the page, for tests and for who looks into it from a console. */
const allMaps = [];
const archiveViews = () => allMaps;

const linear = (low, high) => { const span = high - low || 1; return (x) => (x - low) / span; };

const tip = make("div", { id: "tip" });
function showTip(event, text) {
  tip.textContent = text;
  tip.style.display = text ? "block" : "none";
  const right = event.clientX + 18 + tip.offsetWidth > innerWidth, low = event.clientY + 18 + tip.offsetHeight > innerHeight;
  tip.style.left = Math.max(4, right ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14) + "px";
  tip.style.top = Math.max(4, low ? event.clientY - 14 - tip.offsetHeight : event.clientY + 14) + "px";
}
const hideTip = () => { tip.style.display = "none"; };

async function copy(text, button) {
  try { await navigator.clipboard.writeText(text); } catch {
    const area = make("textarea", { value: text });
    document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  const before = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, 1200);
}
const command = (text) => {
  const button = make("button", { type: "button", ariaLabel: "copy: " + text, onclick: () => copy(text, button) }, "copy");
  return make("div", { className: "command" }, make("pre", {}, text), button);
};
const definitions = (rows) => make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value instanceof Node ? value : String(value))]));
const section = (id, title, ...children) => {
  const heading = make("h2", { id }, title);
  document.querySelector("nav").append(make("a", { href: "#" + id }, title));
  return make("section", { "aria-labelledby": id }, heading, ...children);
};
const pick = (name, options, value, change) =>
  make("label", {}, name, make("select", { onchange: (e) => change(e.target.value) },
    ...options.map(([key, text]) => make("option", { value: key, selected: key === value }, text))));

// --- Charts of columns against columns -------------------------------------------------------------------------------

/** A panel: `lines` of `{name, colour, x, y, low, high}`, arrays of one length; `low` and `high` bound a band. */
class Chart {
  constructor(title, axis, lines, zero) {
    Object.assign(this, { title, axis, lines, zero, at: null });
    this.canvas = make("canvas", { role: "img", ariaLabel: `${title} against ${axis.name}: ` + lines.map((l) => `${l.name} ends at ${shown(l.y[l.y.length - 1])}`).join("; ") });
    this.element = make("figure", {}, make("figcaption", {}, title), make("div", {}, this.canvas));
    this.canvas.addEventListener("mousemove", (e) => this.hover(e));
    this.canvas.addEventListener("mouseleave", () => { this.at = null; hideTip(); this.draw(); });
  }

  bounds() {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, this.zero ? 0 : Infinity, this.zero ? 0 : -Infinity];
    for (const l of this.lines) {
      for (let i = 0; i < l.x.length; i++) {
        if (!Number.isFinite(l.y[i])) continue;
        x0 = Math.min(x0, l.x[i]); x1 = Math.max(x1, l.x[i]);
        y0 = Math.min(y0, l.low ? l.low[i] : l.y[i]); y1 = Math.max(y1, l.high ? l.high[i] : l.y[i]);
      }
    }
    if (!(x0 <= x1)) return null;
    const pad = (y1 - y0 || Math.abs(y1) || 1) * 0.04;
    return { x0: Math.min(0, x0), x1: x1 || 1, y0: this.zero && y0 === 0 ? 0 : y0 - pad, y1: y1 + pad };
  }

  draw() {
    const { to, width, height } = prepare(this.canvas, (w) => Math.min(260, w * 0.7));
    const b = this.bounds(), box = { left: 52, top: 8, width: width - 72, height: height - 50 };
    this.box = box;
    if (!b) { to.fillText("no numbers yet", box.left, box.top + 20); return; }
    const x = linear(b.x0, b.x1), y = linear(b.y0, b.y1);
    this.scale = { b, x };
    const unit = this.axis.name.includes("wall") || this.axis.name.includes("seconds") ? (b.x1 > 7200 ? [3600, "h"] : b.x1 > 300 ? [60, "min"] : [1, "s"]) : [1, this.axis.unit];
    drawAxes(to, box, { ticks: ticks(b.x0 / unit[0], b.x1 / unit[0], width / 90).map((t) => t * unit[0]), share: x, unit: unit[0], name: this.axis.name + (unit[1] && unit[1] !== this.axis.name ? ` (${unit[1]})` : "") }, { ticks: ticks(b.y0, b.y1, 5), share: y, name: "" });
    const px = (v) => box.left + x(v) * box.width, py = (v) => box.top + (1 - y(v)) * box.height;
    for (const l of this.lines) {
      to.strokeStyle = to.fillStyle = l.colour ?? style("--accent");
      if (l.low) {
        to.globalAlpha = 0.2; to.beginPath();
        let started = false;
        for (let i = 0; i < l.x.length; i++) if (Number.isFinite(l.high[i])) { started ? to.lineTo(px(l.x[i]), py(l.high[i])) : to.moveTo(px(l.x[i]), py(l.high[i])); started = true; }
        for (let i = l.x.length - 1; i >= 0; i--) if (Number.isFinite(l.low[i])) to.lineTo(px(l.x[i]), py(l.low[i]));
        to.fill(); to.globalAlpha = 1;
      }
      to.lineWidth = 1.8; to.beginPath();
      let down = false;
      for (let i = 0; i < l.x.length; i++) {
        if (!Number.isFinite(l.y[i])) { down = false; continue; }
        down ? to.lineTo(px(l.x[i]), py(l.y[i])) : to.moveTo(px(l.x[i]), py(l.y[i]));
        down = true;
      }
      to.stroke();
      if (l.x.length === 1) to.fillRect(px(l.x[0]) - 2, py(l.y[0]) - 2, 4, 4);
    }
    if (this.at !== null) {
      to.strokeStyle = style("--muted"); to.lineWidth = 1; to.beginPath();
      to.moveTo(px(this.at), box.top); to.lineTo(px(this.at), box.top + box.height); to.stroke();
    }
  }

  hover(event) {
    if (!this.scale) return;
    const { b } = this.scale, share = (event.offsetX - this.box.left) / this.box.width;
    if (share < 0 || share > 1) { this.at = null; hideTip(); this.draw(); return; }
    this.at = b.x0 + share * (b.x1 - b.x0);
    const text = this.lines.map((l) => {
      let i = 0;
      while (i + 1 < l.x.length && l.x[i + 1] <= this.at) i++;
      return `${this.lines.length > 1 ? l.name + ": " : ""}${shown(l.y[i])}${l.low ? ` [${shown(l.low[i])}, ${shown(l.high[i])}]` : ""}`;
    });
    showTip(event, `${this.axis.name} ${shown(Math.round(this.at * 100) / 100)}\n${text.join("\n")}`);
    this.draw();
  }
}

/** Charts of some columns, against an axis that may be chosen. */
function charts(axes, draw) {
  const host = make("div", { className: "charts" });
  let current = [];
  const show = (axis) => {
    current.forEach((chart) => redraws.delete(chart.redraw));
    current = draw(axes.find((a) => a.key === axis));
    host.replaceChildren(...current.map((chart) => chart.element));
    current.forEach((chart) => { chart.redraw = () => chart.draw(); redraws.add(chart.redraw); });
    redraw();
  };
  show(axes[0].key);
  const controls = make("div", { className: "controls" }, pick("against", axes.map((a) => [a.key, a.name]), axes[0].key, show));
  return make("div", {}, axes.length > 1 ? controls : "", host);
}

// --- The archive -----------------------------------------------------------------------------------------------------

/** Columns of the elites and what is chosen among them. */
class Archive {
  constructor(a) {
    Object.assign(this, a);
    this.cell = decode(a.cell);
    this.place = decode(a.descriptor);
    this.parents = decode(a.parents);
    this.corrected = a.corrected && decode(a.corrected);
    this.centroids = a.centroids && decode(a.centroids);
    this.genes = a.genes && { dim: a.genes.dim, data: decode(a.genes) };
    this.columns = a.columns.map((c) => ({ ...c, values: decode(c.data) }));
    this.elite = new Map(Array.from(this.cell, (cell, i) => [cell, i]));
    this.column = this.columns.find((c) => c.name === "fitness");
    this.fitness = this.column.values;
    this.chosen = null;
    this.over = null;
    this.views = [];
  }
  named(name) { return this.columns.find((c) => c.name === name); }
  /** Colours of the elites by the chosen column, and its scale; on a corrected map fitness is the mean of the fresh episodes, on the same scale. */
  paint(corrected) {
    const { values, names } = this.column;
    const own = corrected && this.column.name === "fitness" ? this.named("expected_fitness").values : values;
    if (names) return { colour: (i) => (names[values[i]] === undefined ? UNKNOWN : NAMED[Math.min(values[i], NAMED.length - 1)]) };
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    const span = high - low;
    return { low, high, colour: (i) => (Number.isFinite(own[i]) ? viridis(span > 0 ? (own[i] - low) / span : 1) : null), value: (i) => own[i] };
  }
  choose(elite) { this.chosen = elite; this.card(); this.views.forEach((v) => v.mark()); }
  hover(elite) { if (this.over !== elite) { this.over = elite; this.views.forEach((v) => v.mark()); } }
  text(i) {
    const lines = [`cell ${this.cell[i]}`];
    for (const name of ["fitness", "expected_fitness", "fitness_sd"]) {
      const column = this.named(name);
      if (column) lines.push(`${column.label} ${shown(column.values[i])}`);
    }
    this.axes.slice(0, 8).forEach((axis, k) => lines.push(`${axis.name} ${shown(this.place[i * this.axes.length + k])}${axis.unit ? " " + axis.unit : ""}`));
    for (const name of ["generation", "operator"]) {
      const column = this.named(name);
      if (column) lines.push(`${column.label} ${column.names ? column.names[column.values[i]] ?? "–" : shown(column.values[i])}`);
    }
    if (this.column.values && !["fitness", "expected_fitness", "fitness_sd", "generation", "operator"].includes(this.column.name)) lines.push(`${this.column.label} ${shown(Number(this.column.values[i]))}`);
    return lines.join("\n");
  }
}

/** A map over one axis or two: `who(tile)` is the elite of a tile, or undefined. */
class MapView {
  constructor(archive, axes, title, corrected) {
    Object.assign(this, { archive, axes, corrected });
    this.canvas = make("canvas", { tabIndex: 0, role: "application", ariaLabel: `${title}. Arrow keys go from elite to elite, b to the best, Enter shows one.` });
    this.marks = make("canvas", { ariaHidden: "true" });
    this.element = make("figure", {}, make("figcaption", {}, title), make("div", { className: "stack" }, this.canvas, this.marks));
    this.canvas.addEventListener("mousemove", (e) => { const i = this.find(e); archive.hover(i); i === null ? hideTip() : showTip(e, archive.text(i)); });
    this.canvas.addEventListener("mouseleave", () => { archive.hover(null); hideTip(); });
    this.canvas.addEventListener("click", (e) => { const i = this.find(e); if (i !== null) archive.choose(i); });
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    archive.views.push(this);
    allMaps.push(this);
    redraws.add(() => this.draw());
  }

  /** Elites that this map shows, by tile; of several in one tile the fittest. */
  tiles() {
    const a = this.archive, k = a.axes.length, n = a.cell.length;
    const found = new Map();
    const put = (tile, i, value = a.fitness) => { if (!found.has(tile) || value[i] > value[found.get(tile)]) found.set(tile, i); };
    if (this.corrected) {
      const mean = a.named("expected_fitness").values;
      for (let i = 0; i < n; i++) if (a.corrected[i] >= 0) put(this.tileOfCell(a.corrected[i]), i, mean);
    } else if (this.whole()) for (let i = 0; i < n; i++) put(this.tileOfCell(a.cell[i]), i);
    else for (let i = 0; i < n; i++) put(this.tileOf(this.axes.map((x) => a.place[i * k + x])), i);
    return found;
  }
  /** Whether tiles are the archive's own cells. */
  whole() { return this.archive.axes.length === this.axes.length && this.archive.kind !== "points"; }
  shape() {
    const a = this.archive;
    if (a.kind === "grid") return this.axes.map((x) => a.shape[x]);
    return this.axes.map(() => 40);
  }
  /** Column-major tiles of a grid: along the first axis, then the second. */
  tileOfCell(cell) { return cell; }
  tileOf(values) {
    const shape = this.shape();
    return values.reduce((tile, v, k) => {
      const axis = this.archive.axes[this.axes[k]];
      const at = Math.floor(((v - axis.lower) / (axis.upper - axis.lower)) * shape[k]);
      return tile * shape[k] + Math.min(Math.max(at, 0), shape[k] - 1);
    }, 0);
  }

  /** Which tile each pixel of the map belongs to. */
  labels(w, h) {
    const a = this.archive, flat = this.axes.length === 1, label = new Int32Array(w * h);
    if (this.whole() && a.kind === "cvt") {
      const axes = this.axes.map((x) => a.axes[x]), k = this.axes.length, n = a.centroids.length / k;
      const point = (c, d) => (d < k ? ((a.centroids[c * k + d] - axes[d].lower) / (axes[d].upper - axes[d].lower)) * (d ? h : w) : 0);
      const side = Math.max(1, Math.floor(Math.sqrt(n / 2))), buckets = Array.from({ length: side * side }, () => []);
      // Distances are the archive's, in the axes' own units, which the map may stretch.
      const [ux, uy] = [(axes[0].upper - axes[0].lower) / w, flat ? 0 : (axes[1].upper - axes[1].lower) / h];
      const bucket = (v, size) => Math.min(Math.max(Math.floor((v / size) * side), 0), side - 1);
      const xs = new Float64Array(n), ys = new Float64Array(n);
      for (let c = 0; c < n; c++) {
        xs[c] = point(c, 0); ys[c] = flat ? 0 : point(c, 1);
        buckets[bucket(ys[c], h) * side + bucket(xs[c], w)].push(c);
      }
      const [bw, bh] = [w / side, h / side];
      for (let y = 0; y < (flat ? 1 : h); y++) for (let x = 0; x < w; x++) {
        let best = -1, least = Infinity;
        const py = flat ? 0 : y + 0.5, bx = bucket(x, w), by = bucket(py, h);
        // Rings of buckets, until none that is left can be nearer.
        for (let ring = 0; ring < side; ring++) {
          for (let j = by - ring; j <= by + ring; j++) for (let i = bx - ring; i <= bx + ring; i++) {
            if (i < 0 || j < 0 || i >= side || j >= side || (Math.abs(i - bx) !== ring && Math.abs(j - by) !== ring)) continue;
            for (const c of buckets[j * side + i]) {
              const d = ((xs[c] - x - 0.5) * ux) ** 2 + ((ys[c] - py) * uy) ** 2;
              if (d < least) { least = d; best = c; }
            }
          }
          if (best >= 0 && least <= (ring * (flat ? bw * ux : Math.min(bw * ux, bh * uy))) ** 2) break;
        }
        label[(flat ? 0 : h - 1 - y) * w + x] = best;
      }
    } else {
      const shape = this.shape(), rows = flat ? 1 : shape[1];
      for (let y = 0; y < (flat ? 1 : h); y++) {
        const j = Math.min(Math.floor(((y + 0.5) / h) * rows), rows - 1);
        for (let x = 0; x < w; x++) label[(flat ? 0 : h - 1 - y) * w + x] = Math.min(Math.floor(((x + 0.5) / w) * shape[0]), shape[0] - 1) * rows + j;
      }
    }
    if (flat) for (let y = 1; y < h; y++) label.copyWithin(y * w, 0, w);
    return label;
  }

  draw() {
    const a = this.archive, flat = this.axes.length === 1;
    const { to, width, height, scale } = prepare(this.canvas, (w) => (flat ? 220 : w - 20));
    prepare(this.marks, () => height);
    const box = (this.box = { left: 56, top: 6, width: width - 68, height: height - 48 });
    const [w, h] = [box.width, box.height].map((v) => Math.max(1, Math.round(v * scale)));
    const paint = a.paint(this.corrected);
    to.fillStyle = style("--empty"); to.fillRect(box.left, box.top, box.width, box.height);
    const axes = this.axes.map((x) => a.axes[x]);
    if (a.kind === "points" && !flat) {
      this.dots = [];
      const k = a.axes.length;
      for (let i = 0; i < a.cell.length; i++) {
        const [x, y] = this.placeOf(i), colour = paint.colour(i);
        this.dots.push([x, y]);
        if (!colour) continue;
        to.fillStyle = css(colour); to.beginPath(); to.arc(x, y, 2.6, 0, 7); to.fill();
      }
    } else {
      if (!this.label || this.size !== w + "x" + h) { this.label = this.labels(w, h); this.size = w + "x" + h; }
      this.who = this.tiles();
      const image = to.createImageData(w, h), label = this.label, colours = new Map();
      for (const [tile, i] of this.who) {
        const colour = paint.colour(i);
        if (!colour) continue;
        // Of one axis, a bar as high as the value.
        const share = paint.high > paint.low ? (paint.value(i) - paint.low) / (paint.high - paint.low) : 1;
        const top = !flat || a.column.names ? 1 : 0.06 + 0.94 * Math.min(Math.max(share, 0), 1);
        colours.set(tile, [...colour, h * (1 - top)]);
      }
      for (let p = 0; p < label.length; p++) {
        const colour = colours.get(label[p]);
        if (!colour || (flat && Math.floor(p / w) < colour[3])) continue;
        image.data.set([colour[0], colour[1], colour[2], 255], 4 * p);
      }
      const layer = make("canvas", { width: w, height: h });
      layer.getContext("2d").putImageData(image, 0, 0);
      to.drawImage(layer, box.left, box.top, box.width, box.height);
    }
    if (a.cell.length === 0) { to.fillStyle = style("--muted"); to.textAlign = "center"; to.fillText("the archive is empty", box.left + box.width / 2, box.top + box.height / 2); }
    to.fillStyle = style("--ink");
    const side = (axis) => ({ ticks: ticks(axis.lower, axis.upper, Math.max(2, width / 90)), share: linear(axis.lower, axis.upper), name: axis.name + (axis.unit ? ` (${axis.unit})` : "") });
    drawAxes(to, box, side(axes[0]), flat ? { ticks: paint.high > paint.low ? [paint.low, paint.high] : [], share: (v) => 0.06 + 0.94 * linear(paint.low, paint.high)(v), name: a.column.label } : side(axes[1]));
    this.mark();
  }

  /** Where an elite lies on the screen: at its descriptor, on a corrected map in the middle of the cell that it was put into. */
  placeOf(i) {
    const a = this.archive, k = a.axes.length, { box } = this;
    let place = (x) => a.place[i * k + x];
    if (this.corrected) {
      const cell = a.corrected[i];
      if (a.kind === "cvt") place = (x) => a.centroids[cell * k + x];
      else place = (x) => { const at = x === k - 1 ? cell % a.shape[x] : Math.floor(cell / a.shape[1]), { lower, upper } = a.axes[x]; return lower + ((at + 0.5) / a.shape[x]) * (upper - lower); };
    }
    const share = (x) => Math.min(Math.max((place(x) - a.axes[x].lower) / (a.axes[x].upper - a.axes[x].lower), 0), 1);
    return [box.left + share(this.axes[0]) * box.width, this.axes.length === 1 ? box.top + box.height / 2 : box.top + (1 - share(this.axes[1])) * box.height];
  }

  /** Rings around the elite that is chosen and the one under the pointer. */
  mark() {
    if (!this.box) return;
    const { to } = prepare(this.marks, () => this.canvas.clientHeight);
    for (const [i, wide] of [[this.archive.over, 1.5], [this.archive.chosen, 3]]) {
      if (i === null || (this.corrected && this.archive.corrected[i] < 0)) continue;
      const [x, y] = this.placeOf(i);
      for (const [colour, extra] of [["#fff", 2], [style("--mark"), 0]]) {
        to.strokeStyle = colour; to.lineWidth = wide + extra; to.beginPath(); to.arc(x, y, 7, 0, 7); to.stroke();
      }
    }
  }

  /** The elite under the pointer. */
  find(event) {
    const { box } = this, x = event.offsetX, y = event.offsetY;
    if (!box || x < box.left || y < box.top || x >= box.left + box.width || y >= box.top + box.height) return null;
    if (this.dots) {
      let [best, least] = [null, 14 ** 2];
      this.dots.forEach(([px, py], i) => { const d = (px - x) ** 2 + (py - y) ** 2; if (d < least) { least = d; best = i; } });
      return best;
    }
    const [w, h] = this.size.split("x").map(Number);
    const at = (v, size, pixels) => Math.min(Math.floor((v / size) * pixels), pixels - 1);
    return this.who.get(this.label[at(y - box.top, box.height, h) * w + at(x - box.left, box.width, w)]) ?? null;
  }

  key(event) {
    const a = this.archive, step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const elites = this.dots ? a.cell.keys() : this.who.values();
    const worth = this.corrected ? a.named("expected_fitness").values : a.fitness;
    const hidden = a.chosen === null || (this.corrected && a.corrected[a.chosen] < 0);
    if (event.key === "Escape") a.choose(null);
    else if (event.key === "b" || (step && hidden)) a.choose([...elites].reduce((best, i) => (best === null || worth[i] > worth[best] ? i : best), null));
    else if (step) {
      const [x, y] = this.placeOf(a.chosen);
      let [best, least] = [null, Infinity];
      for (const i of elites) {
        const [px, py] = this.placeOf(i), along = (px - x) * step[0] + (py - y) * step[1], aside = Math.abs((px - x) * step[1]) + Math.abs((py - y) * step[0]);
        if (i === a.chosen || along <= 0.5 || aside > along) continue;
        const d = along + 2 * aside;
        if (d < least) { least = d; best = i; }
      }
      if (best !== null) a.choose(best);
    } else if (event.key === "Enter" || event.key === " ") document.getElementById("card").focus();
    else return;
    event.preventDefault();
  }
}

/** The scale of the chosen column: a bar of colours, or names. */
function scaleOf(archive) {
  const host = make("div"), canvas = make("canvas", { role: "img" });
  redraws.add(() => {
    const paint = archive.paint(), { names, label } = archive.column;
    if (names) {
      host.replaceChildren(make("div", { className: "legend" }, ...names.map((name, i) => make("span", { style: `--swatch:${css(NAMED[Math.min(i, NAMED.length - 1)])}` }, name))));
      return;
    }
    if (canvas.parentElement !== host) host.replaceChildren(canvas);
    const { to, width } = prepare(canvas, () => 40);
    const box = { left: 12, width: Math.min(width - 24, 420) };
    for (let x = 0; x < box.width; x++) { to.fillStyle = css(viridis(x / box.width)); to.fillRect(box.left + x, 4, 1.5, 12); }
    to.fillStyle = style("--ink"); to.textAlign = "center";
    const range = paint.high > paint.low ? ticks(paint.low, paint.high, 5) : Number.isFinite(paint.low) ? [paint.low] : [];
    for (const t of range) to.fillText(tickText(t), box.left + (paint.high > paint.low ? linear(paint.low, paint.high)(t) : 1) * box.width, 31);
    canvas.ariaLabel = `${label} from ${shown(paint.low)} to ${shown(paint.high)}`;
  });
  return host;
}

/** What is known of one elite. */
function card(archive) {
  const host = make("aside", { className: "card", id: "card", tabIndex: -1, ariaLabel: "the chosen elite", ariaLive: "polite" });
  archive.card = () => {
    const i = archive.chosen;
    if (i === null) {
      host.replaceChildren(make("h3", {}, "No elite is chosen"), make("p", { className: "muted" }, "Click one on the map, or give the map the focus and go by the arrow keys."));
      return;
    }
    const cell = archive.cell[i], k = archive.axes.length;
    const rows = archive.columns.map((c) => [c.label, c.names ? c.names[c.values[i]] ?? "–" : shown(c.values[i]) + (c.unit ? " " + c.unit : "")]);
    const axes = archive.axes.map((axis, j) => [axis.name, shown(archive.place[i * k + j]) + (axis.unit ? " " + axis.unit : "")]);
    if (archive.further_axes) axes.push(["further axes", `${shown(archive.further_axes)}, in the archive's file`]);
    const parents = [archive.parents[2 * i], archive.parents[2 * i + 1]].filter((p) => p >= 0);
    const family = parents.map((p) => (archive.elite.has(p)
      ? make("button", { type: "button", onclick: () => archive.choose(archive.elite.get(p)) }, `cell ${p}`) : make("span", {}, `cell ${p} (empty now) `)));
    const film = data.films?.[cell];
    host.replaceChildren(
      make("h3", {}, `Cell ${cell}`), definitions([...rows, ...axes]),
      parents.length ? make("p", {}, "Parents, which may have been replaced since: ", ...family) : make("p", { className: "muted" }, "No parents are stored."),
      film ? make("img", { src: film, alt: `an episode of cell ${cell}` }) : "",
      ...genes(archive, i),
      ...archive.commands.map((text) => command(text.replaceAll("CELL", cell))));
  };
  archive.chosen = archive.fitness.reduce((best, f, i) => (best === null || f > archive.fitness[best] ? i : best), null);
  archive.card();
  return host;
}

/** The genes of an elite as bars, and as text to copy. */
function genes(archive, i) {
  if (!archive.genes) return archive.genes_note ? [make("p", { className: "muted" }, archive.genes_note)] : [];
  const { dim, data } = archive.genes, mine = data.subarray(i * dim, (i + 1) * dim);
  const canvas = make("canvas", { role: "img", ariaLabel: `${dim} genes from ${shown(mine.reduce((a, b) => Math.min(a, b)))} to ${shown(mine.reduce((a, b) => Math.max(a, b)))}` });
  const button = make("button", { type: "button", onclick: () => copy("[" + mine.join(", ") + "]", button) }, "copy the genes");
  const draw = () => {
    if (!canvas.isConnected) { redraws.delete(draw); return; }
    const { to, width, height } = prepare(canvas, () => 70);
    const most = mine.reduce((m, g) => Math.max(m, Math.abs(g)), 1e-12), bar = width / dim;
    to.fillStyle = style("--accent");
    mine.forEach((g, j) => to.fillRect(j * bar, height / 2 - Math.max(g, 0) / most * (height / 2), Math.max(bar - (bar > 3 ? 1 : 0), 0.5), Math.abs(g) / most * (height / 2)));
    to.fillStyle = style("--muted"); to.fillRect(0, height / 2, width, 1);
  };
  redraws.delete(archive.bars); redraws.add(draw); archive.bars = draw; requestAnimationFrame(draw);
  return [make("p", {}, `${shown(dim)} genes, the largest ${shown(mine.reduce((m, g) => Math.max(m, Math.abs(g)), 0))} `, button), make("div", {}, canvas)];
}

/** The elites as a table, the fittest first, by which they can be found without a map. */
function eliteTable(archive) {
  const SHOWN = 12;
  let [by, up, page] = [archive.named("fitness"), false, 0];
  const host = make("div");
  const show = () => {
    const order = [...archive.cell.keys()].filter((i) => !Number.isNaN(Number(by.values[i]))).sort((a, b) => (up ? 1 : -1) * Number(by.values[a] - by.values[b]));
    const pages = Math.max(1, Math.ceil(order.length / SHOWN));
    page = Math.min(Math.max(page, 0), pages - 1);
    const heads = archive.columns.map((c) => make("th", { className: c.names ? "" : "n", ariaSort: c === by ? (up ? "ascending" : "descending") : "none", scope: "col" },
      make("button", { type: "button", onclick: () => { [by, up, page] = [c, c === by ? !up : false, 0]; show(); } }, c.label + (c === by ? (up ? " ▲" : " ▼") : ""))));
    const rows = order.slice(page * SHOWN, (page + 1) * SHOWN).map((i) => make("tr", { className: "pick", onclick: () => archive.choose(i) },
      make("td", { className: "n" }, make("button", { type: "button", onclick: () => archive.choose(i) }, String(archive.cell[i]))),
      ...archive.columns.map((c) => make("td", { className: c.names ? "" : "n" }, c.names ? c.names[c.values[i]] ?? "–" : shown(c.values[i])))));
    const turn = (text, by) => make("button", { type: "button", disabled: by < 0 ? page === 0 : page === pages - 1, onclick: () => { page += by; show(); } }, text);
    host.replaceChildren(
      make("div", { className: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, make("th", { className: "n", scope: "col" }, "cell"), ...heads)), make("tbody", {}, ...rows))),
      make("div", { className: "controls" }, turn("previous", -1), make("span", { className: "muted" }, `page ${page + 1} of ${pages}`), turn("next", 1)));
  };
  show();
  return make("details", {}, make("summary", {}, `All ${shown(archive.cell.length)} elites as a table`), host);
}

function archiveSection(a) {
  const archive = new Archive(a), k = archive.axes.length;
  const maps = make("div", { className: "maps" });
  const named = (corrected) => (corrected ? "corrected by fresh episodes" : archive.corrected ? "as stored" : "");
  const views = [];
  if (k > 2) {
    const first = archive.pairs, host = maps;
    host.classList.add("many");
    for (const pair of first) views.push(new MapView(archive, pair, pair.map((x) => archive.axes[x].name).join(" × ")));
  } else {
    const axes = k === 1 ? [0] : [0, 1];
    views.push(new MapView(archive, axes, named(false)));
    if (archive.corrected) views.push(new MapView(archive, axes, named(true), true));
  }
  maps.append(...views.map((v) => v.element));
  const colour = pick("colour", archive.columns.filter((c) => !(c.values instanceof BigUint64Array)).map((c) => [c.name, c.label]), archive.column.name, (name) => { archive.column = archive.named(name); redraw(); });
  const filmed = Object.keys(data.films ?? {}).map(Number).filter((cell) => archive.elite.has(cell));
  const films = filmed.length && filmed.length < archive.cell.length ? [make("details", {}, make("summary", {}, `Elites whose episode is shown (${filmed.length})`),
    make("p", {}, ...filmed.slice(0, 100).map((cell) => make("button", { type: "button", onclick: () => archive.choose(archive.elite.get(cell)) }, `cell ${cell}`))))] : [];
  const what = [archive.what, archive.corrected ? "On the corrected map each elite lies where fresh episodes put it on average, with its mean fitness in them; of a cell's the best is kept." : ""]
    .filter(Boolean).map((text) => make("p", { className: "muted" }, text));
  return section("archive", "The archive", ...what, make("div", { className: "archive" },
    make("div", {}, make("div", { className: "controls" }, colour), scaleOf(archive), maps, ...films, eliteTable(archive)), card(archive)));
}

/** What no other elite dominates of several objectives, on the plane of two of them. */
function frontSection(f) {
  const m = f.objectives.length, points = decode(f.points), dominated = decode(f.dominated), name = (o) => f.objectives[o].name + (f.objectives[o].unit ? ` (${f.objectives[o].unit})` : "");
  const all = (values) => Array.from({ length: values.length / m }, (_, i) => i);
  let pair = [0, 1];
  const canvas = make("canvas", { role: "img", ariaLabel: "The front on the plane of two objectives" });
  const caption = make("figcaption");
  const place = () => {
    const ends = pair.map((o) => { const v = all(points).map((i) => points[i * m + o]), low = Math.min(...v), high = Math.max(...v), pad = (high - low || Math.abs(high) || 1) * 0.08; return [low - pad, high + pad]; });
    return { ends, x: linear(...ends[0]), y: linear(...ends[1]) };
  };
  let box = null;
  redraws.add(() => {
    const { to, width, height } = prepare(canvas, (w) => Math.min(w * 0.75, 420)), { ends, x, y } = place();
    box = { left: 64, top: 8, width: width - 74, height: height - 52 };
    drawAxes(to, box, { ticks: ticks(...ends[0], 6), share: x, name: name(pair[0]) }, { ticks: ticks(...ends[1], 6), share: y, name: name(pair[1]) });
    const at = (values, i) => [box.left + x(values[i * m + pair[0]]) * box.width, box.top + (1 - y(values[i * m + pair[1]])) * box.height];
    to.save(); to.beginPath(); to.rect(box.left, box.top, box.width, box.height); to.clip();
    to.fillStyle = to.strokeStyle = style("--accent");
    to.globalAlpha = 0.25;
    for (const i of all(dominated)) { const [px, py] = at(dominated, i); to.beginPath(); to.arc(px, py, 2, 0, 7); to.fill(); }
    to.globalAlpha = 0.6;
    if (m === 2) {
      to.beginPath();
      let before = null;
      for (const [px, py] of all(points).map((i) => at(points, i)).sort((a, b) => b[0] - a[0])) { if (before !== null) to.lineTo(px, before); to.lineTo(px, py); before = py; }
      to.stroke();
    }
    to.restore();
    to.fillStyle = style("--accent");
    for (const i of all(points)) { const [px, py] = at(points, i); to.beginPath(); to.arc(px, py, 3.5, 0, 7); to.fill(); }
    caption.textContent = `${points.length / m} elites that no other dominates${dominated.length ? ", and others" : ""}`;
  });
  canvas.addEventListener("mousemove", (e) => {
    if (!box) return;
    const { x, y } = place(), [mx, my] = [e.offsetX, e.offsetY];
    let best = null, near = 100;
    for (const i of all(points)) {
      const d = (box.left + x(points[i * m + pair[0]]) * box.width - mx) ** 2 + (box.top + (1 - y(points[i * m + pair[1]])) * box.height - my) ** 2;
      if (d < near) [best, near] = [i, d];
    }
    best === null ? hideTip() : showTip(e, f.objectives.map((o, k) => `${o.name} ${shown(points[best * m + k])}${o.unit ? " " + o.unit : ""}`).join("\n"));
  });
  canvas.addEventListener("mouseleave", hideTip);
  const choice = (axis, label) => pick(label, f.objectives.map((o, k) => [String(k), o.name]), String(pair[axis]), (k) => { pair[axis] = Number(k); redraw(); });
  return section("front", "The front", m > 2 ? make("div", { className: "controls" }, choice(0, "across"), choice(1, "up")) : "", make("figure", { className: "front" }, caption, make("div", {}, canvas)));
}

// --- A run -----------------------------------------------------------------------------------------------------------

function historySection(history) {
  const column = (name) => history.columns.find((c) => c.name === name);
  const values = new Map(history.columns.map((c) => [c.name, decode(c.data)]));
  const axes = history.axes.map((name) => ({ key: name, name: column(name).label, unit: column(name).unit }));
  const chart = (name, axis) => {
    const x = values.get(axis.key), y = values.get(name), c = column(name);
    return new Chart(c.label + (c.unit ? ` (${c.unit})` : ""), axis, [{ name: c.label, colour: null, x, y }], c.zero);
  };
  const first = charts(axes, (axis) => history.first.map((name) => chart(name, axis)));
  const rest = history.columns.map((c) => c.name).filter((n) => !history.first.includes(n) && !history.axes.includes(n));
  const more = make("details", { ontoggle: (e) => { if (e.target.open && e.target.children.length === 1) e.target.append(charts(axes, (axis) => rest.map((n) => chart(n, axis)))); } },
    make("summary", {}, `${rest.length} further columns`));
  return section("curves", "Learning curves", first, rest.length ? more : "");
}

// --- A sweep ---------------------------------------------------------------------------------------------------------

function sweepSections(s) {
  const parts = [];
  const numbers = (x) => make("td", { className: "n" }, x);
  const range = ([a, b]) => `[${shown(a)}, ${shown(b)}]`;
  const heads = ["configuration", "runs", s.metric, "quartiles", "IQM", "95 % of IQM", "P(better)", "95 %", "p", "Holm's p"];
  const rows = s.configurations.flatMap((c) => {
    const t = c.test, detail = make("tr", { hidden: true }, make("td", { colSpan: heads.length }, make("div", { className: "wide" }, make("table", {},
      make("tbody", {}, ...c.runs.map((r) => make("tr", {}, make("td", {}, "seed " + r.seed), numbers(shown(r.value)), make("td", {}, r.status),
        make("td", {}, r.report ? make("a", { href: r.report }, "report") : make("span", { className: "muted" }, r.directory)))))))));
    const button = make("button", { type: "button", ariaExpanded: "false", onclick: () => { detail.hidden = !detail.hidden; button.ariaExpanded = String(!detail.hidden); } }, c.label || "the only one");
    return [make("tr", {}, make("td", {}, button), numbers(String(c.n)), numbers(shown(c.median)), numbers(range(c.quartiles)), numbers(shown(c.iqm)), numbers(range(c.iqm_interval)),
      ...(t ? [t.improvement, t.interval, t.p, t.adjusted].map(numbers) : [make("td", { colSpan: 4, className: "muted" }, c.baseline ? "what the others are compared with" : "")])), detail];
  });
  parts.push(section("configurations", "Configurations",
    make("div", { className: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((h, i) => make("th", { className: i ? "n" : "", scope: "col" }, h)))), make("tbody", {}, ...rows))),
    ...s.notes.map((n) => make("p", { className: "note" }, n)),
    make("p", {}, make("a", { href: "data:text/csv;charset=utf-8," + encodeURIComponent(s.csv), download: "sweep.csv" }, "Download sweep.csv"))));

  const lines = s.curves.map((c, i) => ({ name: c.label, colour: css(NAMED[i % NAMED.length]), columns: c.axes.map((a) => ({ x: decode(a.x), measures: a.measures.map((m) => [decode(m.median), decode(m.low), decode(m.high)]) })), runs: c.runs }));
  const legend = make("div", { className: "legend" }, ...lines.map((l) => make("span", { style: `--swatch:${l.colour}` }, `${l.name} (${l.runs})`)));
  const axes = s.axes.map((a, key) => ({ key: String(key), name: a.name, unit: a.unit }));
  parts.push(section("curves", "Learning curves", make("p", { className: "muted" }, s.bands), legend, charts(axes, (axis) => s.measures.map((m, j) =>
    new Chart(m.label, axis, lines.map((l) => { const at = l.columns[Number(axis.key)], [y, low, high] = at.measures[j]; return { name: l.name, colour: l.colour, x: at.x, y, ...(l.runs > 1 ? { low, high } : {}) }; }), m.zero)))));

  if (s.parameters.length) {
    const bars = make("table", {}, make("tbody", {}, ...[...s.parameters].sort((a, b) => (b.share ?? -1) - (a.share ?? -1)).map((p) => make("tr", {}, make("td", {}, p.name),
      numbers(p.share === null ? "–" : (100 * p.share).toFixed(0) + " %"), make("td", {}, make("span", { className: "bar", style: `width:${Math.round(240 * (p.share ?? 0))}px` }))))));
    parts.push(section("parameters", "Importance of parameters", make("p", { className: "muted" }, s.importance), make("div", { className: "wide" }, bars),
      make("div", { className: "charts" }, ...s.parameters.map((p) => marks(p, s.metric)))));
  }
  return parts;
}

/** What runs ended with, by a parameter. */
function marks(p, metric) {
  const canvas = make("canvas", { role: "img", ariaLabel: `${metric} by ${p.name}` });
  redraws.add(() => {
    const { to, width, height } = prepare(canvas, () => 230);
    const box = { left: 52, top: 8, width: width - 62, height: height - 50 };
    const values = p.marks.map((m) => m[1]).filter(Number.isFinite), [low, high] = [Math.min(...values), Math.max(...values)], pad = (high - low || Math.abs(high) || 1) * 0.08;
    const at = p.numbers ? p.numbers.map((v) => (p.logarithmic ? Math.log10(v) : v)) : p.names.map((_, i) => i);
    const [a, b] = [Math.min(...at), Math.max(...at)], room = (b - a || 1) * 0.12, x = linear(a - room, b + room), y = linear(low - pad, high + pad);
    drawAxes(to, box, { ticks: [], share: x, name: p.name }, { ticks: ticks(low - pad, high + pad, 5), share: y, name: "" });
    to.textAlign = "center";
    at.forEach((v, i) => { if (at.length <= 8 || i % Math.ceil(at.length / 8) === 0) to.fillText(p.numbers ? tickText(p.numbers[i]) : p.names[i], box.left + x(v) * box.width, box.top + box.height + 16, box.width / Math.min(at.length, 8)); });
    to.fillStyle = style("--accent"); to.globalAlpha = 0.65;
    for (const [place, value] of p.marks) if (Number.isFinite(value)) { to.beginPath(); to.arc(box.left + x(at[place]) * box.width, box.top + (1 - y(value)) * box.height, 4, 0, 7); to.fill(); }
    to.globalAlpha = 1;
  });
  return make("figure", {}, make("figcaption", {}, `${metric} by ${p.name}`), make("div", {}, canvas));
}

// --- The page --------------------------------------------------------------------------------------------------------

function themeButton() {
  const root = document.documentElement, dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  return make("button", { type: "button", id: "theme", onclick: () => { root.dataset.theme = dark() ? "light" : "dark"; redraw(); } }, "light or dark");
}

const main = make("main");
document.body.append(make("header", {}, make("div", {}, make("h1", {}, data.title), make("p", { className: "muted" }, data.subtitle)), make("div", {}, themeButton())), make("nav", { ariaLabel: "sections" }), main, tip);
main.append(make("div", { className: "facts" }, ...data.facts.map(([name, value]) => make("div", {}, make("span", { className: "muted" }, name), make("b", {}, value)))));
main.append(...(data.notes ?? []).map((n) => make("p", { className: "note" }, n)));
if (data.archive) main.append(archiveSection(data.archive));
if (data.front) main.append(frontSection(data.front));
if (data.history) main.append(historySection(data.history));
if (data.sweep) main.append(...sweepSections(data.sweep));
main.append(section("provenance", "Provenance", definitions(data.provenance), make("h3", {}, "Commands"), ...data.commands.map(command),
  make("details", {}, make("summary", {}, "Configuration"), make("pre", {}, data.config))));
redraw();
