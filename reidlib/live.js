// What the panels that the browser draws have in common. Python puts this text before each panel's
// own module (reidlib/live.py), and so does the web book: a module is one file without imports.

const LOOK = `
.reid { --paper: var(--jp-layout-color0, var(--color-background-primary, #fff));
  --ink: var(--jp-content-font-color1, var(--color-foreground-primary, #222));
  --faint: var(--jp-border-color1, var(--color-background-border, #c4c4c4));
  --right: #0072b2; --wrong: #c04f00; --third: #00795a; --fourth: #a3527f; --fifth: #8a6100;
  color: var(--ink); background: var(--paper); font: 14px/1.45 system-ui, sans-serif;
  max-width: 1100px; padding: 6px; box-sizing: border-box; }
[data-jp-theme-light="false"] .reid, [data-theme="dark"] .reid, .vscode-dark .reid,
html[theme="dark"] .reid { --right: #56b4e9; --wrong: #ff9a4d; --third: #2fd0a2; --fourth: #e7a3cb;
  --fifth: #f0c34e; }
@media (prefers-color-scheme: dark) { [data-theme="auto"] .reid { --right: #56b4e9;
  --wrong: #ff9a4d; --third: #2fd0a2; --fourth: #e7a3cb; --fifth: #f0c34e; } }
.reid .row { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; margin: 2px 0 6px; }
.reid label { display: inline-flex; gap: 6px; align-items: center; }
.reid output { min-width: 3.4em; font-variant-numeric: tabular-nums; }
.reid input, .reid select, .reid button { font: inherit; color: var(--ink); accent-color: var(--right); }
.reid select, .reid button, .reid input[type=number] { background: var(--paper);
  border: 1px solid var(--ink); border-radius: 4px; padding: 2px 8px; min-height: 28px; }
.reid button { cursor: pointer; } .reid :disabled { opacity: .45; cursor: default; }
.reid svg { flex: 1 1 320px; min-width: 0; max-width: 100%; touch-action: none; user-select: none;
  display: block; background: var(--paper); }
.reid text { fill: var(--ink); font-size: 13px; stroke: none; }
.reid .grid { stroke: var(--faint); stroke-width: 1; fill: none; }
.reid [role=slider], .reid [data-grip] { cursor: grab; }
.reid :focus-visible { outline: 3px solid var(--fourth); outline-offset: 2px; }
.reid .said { min-height: 1.5em; margin: 4px 0; } .reid .help { font-size: 12.5px; margin: 2px 0; }
.reid .fault { font-weight: bold; color: var(--wrong); }
.reid .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }`;

/** Return an HTML element; an attribute that is a function listens for the event of its name. */
function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return an SVG element. */
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else put(node, name, value);
  }
  node.append(...children);
  return node;
}

/** Set an attribute only where it changes: what stays as it is costs no layout. */
function put(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Return what Python packed as a typed array: from a buffer of the kernel or, in a book, base64. */
function unpack({ dtype, bytes }) {
  const raw = typeof bytes === "string"
    ? Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();
  if (dtype === "float16") return Float32Array.from(new Uint16Array(raw.buffer), half);
  const kinds = { float32: Float32Array, uint32: Uint32Array, int32: Int32Array, uint8: Uint8Array };
  return new kinds[dtype](raw.buffer);
}

/** Return the number that 16 bits stand for: sign, exponent, fraction (IEEE 754). */
function half(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = bits >> 10 & 31, fraction = (bits & 1023) / 1024;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction) : sign * 2 ** -14 * fraction;
}

/** Return the address of a picture that Python packed, for an <img>. */
function picture(packed) {
  return URL.createObjectURL(new Blob([unpack(packed)], { type: "image/jpeg" }));
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const number = (value, digits = 0) => value.toLocaleString("en", {
  minimumFractionDigits: digits, maximumFractionDigits: digits });
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A panel: controls above, pictures, and a sentence. `state` holds all that a hand can change. */
class Panel {
  constructor(model, el, name, help) {
    this.model = model;
    this.data = model.get("data");
    this.state = { ...model.get("state") };
    this.fields = {};
    this.controls = html("div", { class: "row" });
    this.pictures = html("div", { class: "row" });
    this.sentence = html("p", { class: "said" });
    this.live = html("p", { class: "unseen", "aria-live": "polite" });
    // Keys stay in the panel: "m" or an arrow would else be a shortcut of the notebook.
    this.root = html("section", {
      class: "reid", "aria-label": name, "data-lm-suppress-shortcuts": "true",
      keydown: (event) => event.stopPropagation(), keyup: (event) => event.stopPropagation(),
    }, html("style", {}, LOOK), this.controls, this.sentence, this.pictures,
    html("p", { class: "help" }, help), this.live);
    el.replaceChildren(this.root);
    this.heard = () => {
      const told = JSON.stringify(this.model.get("state"));
      if (told !== this.sent) this.show({ ...this.state, ...JSON.parse(told) });
    };
    model.on("change:state", this.heard);
  }

  /** Change some of the state, draw at once, and tell the kernel when the hand rests. */
  set(changes) {
    this.show({ ...this.state, ...changes });
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.tell(), 150);
  }

  /** Give the state to the kernel, if there is one, now. */
  tell() {
    clearTimeout(this.telling);
    this.sent = JSON.stringify(this.state);
    this.model.set("state", JSON.parse(this.sent));
    this.model.save_changes();
  }

  show(state) {
    this.state = state;
    for (const [name, update] of Object.entries(this.fields)) update(state[name], name);
    this.draw(state);
  }

  /** Say what is seen: at once for the eye, and for a screen reader when the hand rests. */
  say(text, fault = false) {
    write(this.sentence, text);
    this.sentence.classList.toggle("fault", fault);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => write(this.live, text), 500);
  }

  slider(name, { label, unit = "", title, min, max, step, format = String,
    act = (value) => this.set({ [name]: value }) }) {
    const shown = html("output");
    const input = html("input", { type: "range", min, max, step, title: unit ? `${title}, in ${unit}` : title,
      input: () => act(Number(input.value)) });
    this.fields[name] = (value) => {
      if (value > Number(input.max)) input.max = value; // else it would show what is not used
      if (value < Number(input.min)) input.min = value;
      input.value = value;
      write(shown, `${format(value)}${unit && " " + unit}`);
      put(input, "aria-valuetext", shown.textContent);
    };
    this.controls.append(html("label", { "data-name": name }, label, input, shown));
    return input;
  }

  /** A list to choose from; `options` are pairs of a value (of any kind) and its text. */
  choice(name, { label, title, options, act = (value) => this.set({ [name]: value }) }) {
    const select = html("select", { title, change: () => act(options[select.selectedIndex][0]) },
      ...options.map(([, text]) => html("option", {}, String(text))));
    this.fields[name] = (value) => {
      select.selectedIndex = options.findIndex(([option]) => option === value);
    };
    this.controls.append(html("label", { "data-name": name }, label, select));
    return select;
  }

  toggle(name, { label, title }) {
    const box = html("input", { type: "checkbox", title, change: () => this.set({ [name]: box.checked }) });
    this.fields[name] = (value) => { box.checked = value; };
    this.controls.append(html("label", { "data-name": name }, box, label));
  }

  button(label, title, click) {
    const button = html("button", { type: "button", title, click }, label);
    this.controls.append(button);
    return button;
  }

  /** An SVG picture with a text alternative; its own unit is about a pixel. */
  chart(width, height, label, ...children) {
    const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label },
      ...children);
    chart.style.maxWidth = `${Math.round(1.1 * width)}px`;
    chart.style.flexBasis = width > 600 ? "100%" : `${Math.round(0.8 * width)}px`;
    this.pictures.append(chart);
    return chart;
  }

  /** Make a part of a picture follow the mouse (`move` to x, y of the picture) and arrows (`step`). */
  grip(node, label, { move, step }) {
    filled(node, { tabindex: 0, role: "slider", "aria-label": label, "aria-valuenow": 0,
      pointerdown: (event) => {
        node.setPointerCapture(event.pointerId);
        node.focus({ preventScroll: true });
        event.preventDefault();
      },
      pointermove: (event) => {
        if (!node.hasPointerCapture(event.pointerId)) return;
        const { x, y } = at(node.ownerSVGElement, event);
        move(x, y);
      },
      keydown: (event) => {
        const far = event.shiftKey ? 10 : 1;
        const steps = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far],
          ArrowDown: [0, -far], PageUp: [10, 10], PageDown: [-10, -10] };
        if (!(event.key in steps)) return;
        event.preventDefault(); // the page would scroll
        step(...steps[event.key]);
      } }, [svg("title", {}, `${label}: drag, or use the arrow keys`)]);
  }

  /** Stop what would go on after the panel has left the page. */
  close() {
    clearTimeout(this.telling);
    clearTimeout(this.saying);
    this.model.off("change:state", this.heard);
  }
}

/** Say a grip's value to those who do not see it. */
function valued(node, value, text, min = 0, max = 1) {
  put(node, "aria-valuenow", value);
  put(node, "aria-valuetext", text);
  put(node, "aria-valuemin", min);
  put(node, "aria-valuemax", max);
}

/** Return where an event is in the units of a picture. */
function at(chart, event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
}

/** Draw the axes of a chart: a frame, ticks ([value, text]) and names; returns the SVG group. */
function axes({ left, right, top, bottom, x, y, ticksX, ticksY, nameX, nameY, title }) {
  const group = svg("g", { "aria-hidden": "true" });
  for (const [value, text] of ticksX) {
    group.append(svg("path", { class: "grid", d: `M${x(value)} ${top}V${bottom}` }),
      svg("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, text));
  }
  for (const [value, text] of ticksY) {
    group.append(svg("path", { class: "grid", d: `M${left} ${y(value)}H${right}` }),
      svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, text));
  }
  const middle = (top + bottom) / 2;
  group.append(
    svg("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, nameX),
    svg("text", { x: 13, y: middle, "text-anchor": "middle", transform: `rotate(-90 13 ${middle})` }, nameY),
    svg("text", { x: left, y: top - 9, "font-weight": "bold" }, title));
  return group;
}
