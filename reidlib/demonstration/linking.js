// Linking: which tracklets are one person, for every threshold and all that is known of the place.
// Data: camera, start, end (seconds) of every tracklet; alike, the distances of all pairs by their
// looks (float32, NaN for who has no vector); and ways, one for each kind of knowledge: its name,
// pairwise, the distances that matching.link compares (NaN where two cannot be one person), brief,
// the seconds of a glimpse, and all its results: begins (the threshold from which one holds),
// scores, and identities (uint32, a row a result).

const TOP = 30, FOOT = 42; // above and below the time line
const LEFT = 34, RIGHT = 586;
const ROOM = 520; // the height of all lanes together
const CURVE = { left: 52, right: 386, top: 28, bottom: 176 };
const COLOURS = ["var(--right)", "var(--wrong)", "var(--third)", "var(--fourth)", "var(--fifth)"];
const DASHES = ["none", "7 4", "2 4", "10 3 2 3", "4 2"];
const STROKES = ["", "M-2 8L8-2M6 16L16 6", "M3 0V12M9 0V12", "M-2 4L8 14M2-4L16 10", "M0 3H12M0 9H12"]; // a camera's pattern
const MOST = 110; // rows of the matrix
const NEAR = 6; // the nearest tracklets that are listed

function render({ model, el }) {
  const panel = new Panel(model, el, "Linking",
    "Drag the threshold along the curve, or move it with the arrow keys. Click a bar, a match or a cell of the matrix; "
    + "in the time line and the matrix, which Tab gets to, the arrow keys move on. A lane keeps its place: a bar that is "
    + "linked moves up to the first bar of its person and leaves a dashed outline where it would be alone.");
  const { camera, start, end } = panel.data, count = camera.length, rows = [...camera.keys()];
  const alike = unpack(panel.data.alike);
  const ways = panel.data.ways.map((way) => ({ ...way, pairwise: unpack(way.pairwise), identities: unpack(way.identities) }));
  const farthest = Math.max(1.2, panel.state.threshold);
  const cameras = [...new Set(camera)].sort();
  const order = [...rows].sort((a, b) => start[a] - start[b] || (camera[a] < camera[b] ? -1 : camera[a] > camera[b] ? 1 : a - b));
  const lane = rows.map((row) => order.indexOf(row)); // where a tracklet is alone
  const when = (row) => `${camera[row]}, ${start[row].toFixed(0)} s`;
  const chosen = () => ways.find(({ name }) => name === panel.state.known) ?? ways[0];

  /** Return the number of the result that holds at a threshold: the last that began by then. */
  const result = ({ begins }, threshold) => {
    let low = 0, high = begins.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (begins[middle] <= threshold) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const people = (way, k) => way.identities.subarray(k * count, (k + 1) * count);
  const move = (value) => panel.set({ threshold: +clamp(value, 0, farthest).toFixed(3) });

  panel.slider("threshold", { label: "threshold", unit: "cosine distance", title: "groups of tracklets are linked up to this average distance",
    min: 0, max: farthest, step: 0.001, format: (value) => value.toFixed(3), act: move });
  panel.choice("known", { label: "what is known", title: "what the linking knows of the place, beside the looks of people",
    options: ways.map(({ name }) => [name, name]) });

  // The time line: a lane a tracklet, a bar a stay, its colour and pattern the camera.
  const high = clamp(Math.floor(10 * ROOM / count) / 10, 3, 20), under = TOP + high * count;
  const thick = high * (cameras.length > 1 ? 0.62 : 0.84), shift = cameras.length > 1 ? high * 0.28 / (cameras.length - 1) : 0;
  const [first, last] = [Math.min(...start), Math.max(...end)];
  const x = (seconds) => LEFT + (seconds - first) / (last - first || 1) * (RIGHT - LEFT);
  const every = [1, 2, 5, 10, 30, 60, 300, 600, 3600].find((step) => (last - first) / step <= 8) ?? (last - first) / 6;
  const ticks = Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => Math.ceil(first / every) * every + i * every)
    .filter((seconds) => seconds <= last).map((seconds) => [seconds, String(Math.round(seconds))]);
  const lines = panel.chart(600, under + FOOT, "Who was where, and when", axes({ left: LEFT, right: RIGHT, top: TOP, bottom: under, x,
    y: (value) => value, ticksX: ticks, ticksY: [], nameX: "seconds", nameY: "", title: "Who was where" }));
  const own = `camera-${Math.random().toString(36).slice(2)}-`; // patterns of this panel alone
  const fill = (row) => `url(#${own}${cameras.indexOf(camera[row])})`;
  lines.append(svg("defs", {}, ...cameras.map((_, i) => svg("pattern", { id: own + i, width: 12, height: 12, patternUnits: "userSpaceOnUse" },
    svg("rect", { width: 12, height: 12, fill: COLOURS[i % COLOURS.length] }),
    svg("path", { d: STROKES[i % STROKES.length], stroke: "var(--paper)", "stroke-width": 2.5, fill: "none" })))),
  ...cameras.map((name, i) => svg("g", {}, svg("rect", { x: 165 + 112 * i, y: 9, width: 22, height: 11, fill: `url(#${own}${i})`, stroke: "var(--ink)", "stroke-width": 0.8 }),
    svg("text", { x: 192 + 112 * i, y: 19 }, `camera ${name}`))));
  const box = (row) => ({ x: x(start[row]).toFixed(1), width: Math.max(2, x(end[row]) - x(start[row])).toFixed(1), height: thick.toFixed(1) });
  const top = (row, at_) => (TOP + high * at_ + 0.05 * high + shift * cameras.indexOf(camera[row])).toFixed(1);
  const ghosts = rows.map((row) => svg("rect", { ...box(row), y: top(row, lane[row]), fill: "none", stroke: "var(--faint)", "stroke-dasharray": "3 2" }));
  const bars = rows.map((row) => svg("rect", { ...box(row), role: "option", id: `${own}bar${row}`, "data-row": row, fill: fill(row), stroke: "var(--ink)",
    click: () => { panel.set({ row, other: -1 }); list.focus({ preventScroll: true }); } }));
  const names = order.map((_, i) => svg("text", { x: LEFT - 5, y: (TOP + high * (i + 0.5) + 3.5).toFixed(1), "text-anchor": "end" }));
  names.forEach((node) => { node.style.fontSize = `${clamp(high + 1, 6, 13)}px`; });
  const list = svg("g", { tabindex: 0, role: "listbox", "aria-label": "tracklets, the first above",
    keydown: (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1, Home: -count, End: count }[event.key];
      if (!step) return;
      event.preventDefault();
      panel.set({ row: order[clamp(lane[panel.state.row] + step, 0, count - 1)], other: -1 });
    } }, ...order.map((row) => bars[row]));
  lines.append(svg("g", { "aria-hidden": "true" }, ...ghosts), list, svg("g", { "aria-hidden": "true" }, ...names));

  // The curves: the score of every threshold; the dashed line is the one that is chosen.
  const side = html("div", {});
  side.style.cssText = "flex: 1 1 330px; min-width: 0;";
  panel.pictures.append(side);
  panel.pictures.style.alignItems = "flex-start";
  const along = (value) => CURVE.left + value / farthest * (CURVE.right - CURVE.left);
  const up = (value) => CURVE.bottom - clamp(value, 0, 1) * (CURVE.bottom - CURVE.top);
  const curves = panel.chart(400, 220, "The score at every threshold", axes({ ...CURVE, x: along, y: up,
    ticksX: [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2].map((value) => [value, value.toFixed(1)]), ticksY: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, value.toFixed(2)]),
    nameX: "threshold (cosine distance)", nameY: "IDF1, all cameras", title: "How alike must two tracks be?" }));
  side.append(curves);
  const steps = ways.map(({ begins, scores }, i) => svg("path", { fill: "none", stroke: COLOURS[i % COLOURS.length], "stroke-dasharray": DASHES[i % DASHES.length],
    d: `M${along(0)} ${up(scores[0])}` + begins.map((begin, k) => (begin > farthest ? "" : `H${along(begin).toFixed(1)}V${up(scores[k]).toFixed(1)}`)).join("") + `H${CURVE.right}` }));
  const keys = ways.map(({ name }, i) => svg("g", { transform: `translate(${CURVE.left + 12} ${CURVE.bottom - 10 - 17 * (ways.length - 1 - i)})` },
    svg("path", { d: "M0 -4H26", stroke: COLOURS[i % COLOURS.length], "stroke-width": 2.5, "stroke-dasharray": DASHES[i % DASHES.length] }), svg("text", { x: 32 }, name)));
  const grip = svg("g", {}, svg("path", { d: `M0 ${CURVE.top}V${CURVE.bottom}`, stroke: "transparent", "stroke-width": 26 }),
    svg("path", { d: `M0 ${CURVE.top}V${CURVE.bottom}`, stroke: "var(--ink)", "stroke-width": 2, "stroke-dasharray": "6 3" }),
    svg("circle", { r: 8, fill: "var(--fourth)", stroke: "var(--ink)", "stroke-width": 1.5 }));
  curves.append(...steps, ...keys, grip);
  panel.grip(grip, "threshold", { move: (px) => move((px - CURVE.left) / (CURVE.right - CURVE.left) * farthest),
    step: (dx, dy) => move(panel.state.threshold + 0.01 * (dx || dy)) });

  // The matrix: all pairs, rows by camera and time.
  const sorted = [...rows].sort((a, b) => (camera[a] < camera[b] ? -1 : camera[a] > camera[b] ? 1 : start[a] - start[b])).slice(0, MOST);
  const cell = Math.max(3, Math.floor(310 / sorted.length)), size = cell * sorted.length;
  const matrix = html("canvas", { width: size, height: size, tabindex: 0, role: "img", title: "distances of all pairs, dark is alike: click a cell",
    click: (event) => pick(event.offsetX * size / matrix.clientWidth / cell, event.offsetY * size / matrix.clientHeight / cell),
    keydown: (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      pick(sorted.indexOf(partner(panel.state)) + step[0], sorted.indexOf(panel.state.row) + step[1]);
    } });
  matrix.style.cssText = "max-width: 100%; cursor: crosshair;";
  const pick = (column, row) => {
    const [other, row_] = [column, row].map((value) => sorted[clamp(Math.floor(value), 0, sorted.length - 1)]);
    panel.set({ row: row_, other });
  };
  const told = html("p", {}), matches = html("div", { class: "row", role: "group", "aria-label": "nearest tracklets" });
  side.append(matrix, told, matches);
  /** Paint what changes with the knowledge alone: grey for the distance, a stroke for a pair that cannot be. */
  const ground = (way) => {
    const canvas = html("canvas", { width: size, height: size }), pen = canvas.getContext("2d");
    sorted.forEach((a, i) => sorted.forEach((b, j) => {
      const value = alike[a * count + b], grey = Number.isNaN(value) ? 255 : Math.round(255 * clamp(value / 1.2, 0, 1));
      pen.fillStyle = `rgb(${grey} ${grey} ${Math.round(0.9 * grey)})`;
      pen.fillRect(j * cell, i * cell, cell, cell);
      if (a === b || !Number.isNaN(way.pairwise[a * count + b])) return;
      pen.fillStyle = "#c04f00";
      for (let k = 0; k < cell; k++) pen.fillRect(j * cell + k, i * cell + k, 1, 1);
    }));
    return canvas;
  };
  const nearest = (row) => rows.filter((other) => other !== row && !Number.isNaN(alike[row * count + other]))
    .sort((a, b) => alike[row * count + a] - alike[row * count + b]);
  const partner = ({ row, other }) => (other >= 0 && other !== row ? other : nearest(row)[0] ?? row);

  /** Say of two tracklets why they are linked or not. */
  const explain = (way, identity, a, b) => {
    const looks = alike[a * count + b], compared = way.pairwise[a * count + b];
    if (a === b) return `${when(a)}: a tracklet and itself.`;
    const pair = `${when(a)} and ${when(b)}: ` + (Number.isNaN(looks) ? "one has no vector" : `distance ${looks.toFixed(2)}`)
      + (Number.isNaN(compared) || Math.abs(looks - compared) < 0.005 ? "" : `, on the ground as near as ${compared.toFixed(2)}`);
    if (Number.isNaN(compared)) return `${pair}; cannot be one person, by what is known.`;
    if (identity[a] === identity[b]) return `${pair}; linked: both are person ${identity[a]}.`;
    const longest = Math.max(...rows.map((row) => end[row] - start[row]));
    const glimpse = (row) => end[row] - start[row] < Math.min(way.brief, longest);
    if (glimpse(a) || glimpse(b)) return `${pair}; not linked. One is a glimpse, under ${way.brief} s: it joins the nearest group in the end, or stays alone.`;
    const group = (one) => rows.filter((row) => identity[row] === identity[one] && !glimpse(row));
    const between = group(a).flatMap((one) => group(b).map((two) => way.pairwise[one * count + two]));
    const mean = between.reduce((sum, value) => sum + value, 0) / between.length;
    return `${pair}; not linked: persons ${identity[a]} and ${identity[b]} ` + (Number.isNaN(mean) ? "hold a pair that cannot be one person."
      : `are ${mean.toFixed(2)} apart on average, beyond the threshold.`);
  };

  let drawn = "", looked = "", base = {};
  panel.draw = (state) => {
    const way = chosen(), k = result(way, state.threshold), identity = people(way, k), number_ = Math.max(...identity);
    const { row } = state, other = partner(state);
    put(grip, "transform", `translate(${along(state.threshold).toFixed(1)} 0)`);
    put(grip.children[2], "cy", up(way.scores[k]).toFixed(1));
    const text = `${number_ === 1 ? "1 person" : `${number_} people`}; IDF1 over all cameras ${way.scores[k].toFixed(3)}.`;
    valued(grip, state.threshold, `cosine distance ${state.threshold.toFixed(3)}: ${text}`, 0, farthest);
    panel.say(`At a threshold of ${state.threshold.toFixed(3)}, by ${way.name}: ${text}`);
    if (drawn !== `${way.name} ${k}`) { // within one result nothing moves but the line
      drawn = `${way.name} ${k}`;
      const home = new Map();
      for (const one of order) if (!home.has(identity[one])) home.set(identity[one], lane[one]);
      rows.forEach((one) => {
        put(bars[one], "y", top(one, home.get(identity[one])));
        put(bars[one], "aria-label", `${when(one)} to ${end[one].toFixed(0)} s, person ${identity[one]}`);
        put(ghosts[one], "visibility", home.get(identity[one]) === lane[one] ? "hidden" : "visible");
      });
      names.forEach((node, i) => write(node, high >= 6 && home.get(identity[order[i]]) === i ? String(identity[order[i]]) : ""));
      steps.forEach((path, i) => put(path, "stroke-width", ways[i] === way ? 3.5 : 1.5));
    }
    if (looked === `${drawn} ${row} ${other}`) return;
    looked = `${drawn} ${row} ${other}`;
    put(list, "aria-activedescendant", bars[row].id);
    rows.forEach((one) => {
      put(bars[one], "aria-selected", one === row);
      put(bars[one], "stroke-width", one === row ? 3.5 : one === other ? 2.5 : identity[one] === identity[row] ? 1.6 : 0.6);
      put(bars[one], "opacity", one === other || identity[one] === identity[row] ? 1 : 0.55);
    });
    if (base.way !== way) base = { way, picture: ground(way) };
    const pen = matrix.getContext("2d"), [i, j] = [sorted.indexOf(row), sorted.indexOf(other)];
    pen.drawImage(base.picture, 0, 0);
    sorted.forEach((a, y) => sorted.forEach((b, z) => {
      if (a === b || identity[a] !== identity[b]) return;
      pen.fillStyle = "#0072b2";
      pen.fillRect(z * cell + 1, y * cell + 1, cell - 2, cell - 2);
    }));
    pen.strokeStyle = "#d55e00";
    if (i >= 0) pen.strokeRect(0, i * cell, size, cell);
    if (j >= 0) pen.strokeRect(j * cell, 0, cell, size);
    const words = explain(way, identity, row, other);
    write(told, `All pairs: dark is alike, a dot is linked, a stroke cannot be. ${words}`);
    put(matrix, "aria-label", told.textContent);
    matches.replaceChildren(...nearest(row).slice(0, NEAR).map((one) => {
      const never = Number.isNaN(way.pairwise[row * count + one]), linked = identity[one] === identity[row];
      return html("button", { type: "button", title: `compare ${when(row)} with ${when(one)}`, "aria-pressed": one === other, click: () => panel.set({ other: one }) },
        `${linked ? "✓" : never ? "✗" : "–"} ${when(one)}: ${alike[row * count + one].toFixed(2)}`);
    }));
  };
  panel.show(panel.state);
  return () => panel.close();
}

export default { render };
