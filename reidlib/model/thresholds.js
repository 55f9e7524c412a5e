// One threshold in three pictures: the distances of pairs, the ROC curve, precision and recall.
// Data: step (width of a bin of distance), methods: [{name, same, different}], how many pairs lie
// in each bin; bin k holds the distances above (k - 1) * step, up to k * step.

const W = 370, H = 270, LEFT = 58, RIGHT = 346, TOP = 28, BOTTOM = 225;
const LOWEST = 1e-4; // the false match rate at the left end of the ROC curve
const GALLERIES = [100, 1000, 10000, 100000];
const RATES = [[null, "as dragged"], [0.1, "1 in 10"], [0.01, "1 in 100"], [0.001, "1 in 1,000"],
  [0.0001, "1 in 10,000"]];

/** Return, for every threshold k * step, the share of pairs that match. */
function shares(counts) {
  let sum = 0;
  const sums = Float64Array.from(counts, (count) => (sum += count));
  return { total: sum, counts, upto: sums.map((value) => value / sum) };
}

/** Return the last k at which rates (that only rise) are at most `rate`; -1 if there is none. */
function last(rates, rate) {
  let low = 0, high = rates.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rates[middle] <= rate + 1e-12) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function render({ model, el }) {
  const panel = new Panel(model, el, "Threshold chooser",
    "Drag the dashed line or a dot in any of the three pictures; with the keyboard, Tab gets to "
    + "them and the arrow keys move them (with Shift ten times as far).");
  const { step } = panel.data;
  const methods = panel.data.methods.map(({ name, same, different }) =>
    ({ name, same: shares(unpack(same)), different: shares(unpack(different)) }));
  const bins = methods[0].same.counts.length;
  const farthest = (bins - 1) * step;
  const bin = (threshold) => clamp(Math.round(threshold / step), 0, bins - 1);
  const move = (k) => panel.set({ threshold: +(clamp(k, 0, bins - 1) * step).toFixed(6), rate: null });

  const across = (low, high) => (value) => LEFT + (value - low) / (high - low) * (RIGHT - LEFT);
  const share = (value) => BOTTOM - value * (BOTTOM - TOP);
  const distance = across(0, farthest), recall = across(0, 1);
  const lowest = Math.log10(LOWEST);
  const rare = (value) => across(lowest, 0)(Math.log10(Math.max(value, LOWEST)));
  const place = { left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM };
  const percent = [0, 0.25, 0.5, 0.75, 1].map((value) => [value, `${100 * value}%`]);
  const ticks = Array.from({ length: Math.floor(farthest / 0.2 + 1e-9) + 1 }, (_, i) => 0.2 * i);

  panel.choice("method", { label: "method", title: "whose distances are shown",
    options: methods.map(({ name }) => [name, name]) });
  panel.slider("threshold", { label: "threshold", title: "pairs up to this cosine distance match",
    min: 0, max: farthest, step, format: (value) => value.toFixed(3),
    act: (value) => panel.set({ threshold: value, rate: null }) });
  panel.choice("rate", { label: "false match rate", options: RATES,
    title: "sets the highest threshold that keeps this share of pairs of strangers",
    act: (rate) => panel.set({ rate }) });
  panel.choice("gallery", { label: "gallery", title: "how many strangers a query is compared with",
    options: GALLERIES.map((size) => [size, `${number(size)} strangers`]) });

  const spread = panel.chart(W, H, "Distances of pairs of one person and of two", axes({ ...place,
    x: distance, y: share, ticksX: ticks.map((value) => [value, value.toFixed(1)]), ticksY: [],
    nameX: "cosine distance", nameY: "share of pairs", title: "How distances spread" }));
  const two = svg("path", { fill: "var(--wrong)", "fill-opacity": 0.3, stroke: "var(--wrong)",
    "stroke-dasharray": "4 2" });
  const one = svg("path", { fill: "var(--right)", "fill-opacity": 0.35, stroke: "var(--right)" });
  const named = [["one person", "var(--right)", 16], ["two people", "var(--wrong)", 32]];
  const line = svg("g", {}, svg("path", { d: `M0 ${TOP}V${BOTTOM}`, stroke: "transparent", "stroke-width": 26 }),
    svg("path", { d: `M0 ${TOP}V${BOTTOM}`, stroke: "var(--ink)", "stroke-width": 2, "stroke-dasharray": "6 3" }),
    svg("circle", { cy: TOP, r: 8, fill: "var(--fourth)", stroke: "var(--ink)" }));
  spread.append(two, one, ...named.map(([text, colour, y]) => svg("g", {},
    svg("rect", { x: RIGHT - 92, y: TOP + y - 10, width: 11, height: 11, fill: colour }),
    svg("text", { x: RIGHT - 76, y: TOP + y }, text))), line);
  panel.grip(line, "threshold", { move: (x) => move(Math.round((x - LEFT) / (RIGHT - LEFT) * (bins - 1))),
    step: (dx, dy) => move(bin(panel.state.threshold) + (dx || dy)) });

  const roc = panel.chart(W, H, "ROC curve: true against false match rate", axes({ ...place, x: rare, y: share,
    ticksX: [[1e-4, "0.01%"], [1e-3, "0.1%"], [1e-2, "1%"], [0.1, "10%"], [1, "100%"]], ticksY: percent,
    nameX: "false match rate", nameY: "pairs found", title: "ROC curve (other methods thin)" }));
  const sought = panel.chart(W, H, "Precision against recall", axes({ ...place, x: recall, y: share,
    ticksX: percent, ticksY: percent, nameX: "recall: pairs of one person found",
    nameY: "precision", title: "Precision and recall, one match in all" }));
  const curve = (chart, colour, width) => {
    const path = svg("path", { fill: "none", stroke: colour, "stroke-width": width });
    chart.append(path);
    return path;
  };
  const others = methods.map(() => curve(roc, "var(--ink)", 1));
  for (const path of others) put(path, "stroke-opacity", 0.45);
  const found = curve(roc, "var(--right)", 2.5), precise = curve(sought, "var(--third)", 2.5);
  const dot = (chart, label, move_) => {
    const node = svg("g", {}, svg("circle", { r: 15, fill: "transparent" }),
      svg("circle", { r: 8, fill: "var(--fourth)", stroke: "var(--ink)", "stroke-width": 1.5 }));
    chart.append(node);
    panel.grip(node, label, { move: move_, step: (dx, dy) => move(bin(panel.state.threshold) + (dx || dy)) });
    return node;
  };
  const chosen = () => methods.find(({ name }) => name === panel.state.method) ?? methods[0];
  const onRoc = dot(roc, "threshold on the ROC curve", (x) =>
    move(last(chosen().different.upto, 10 ** (lowest * (1 - (x - LEFT) / (RIGHT - LEFT))))));
  const onSought = dot(sought, "threshold on the precision-recall curve", (x) =>
    move(last(chosen().same.upto, (x - LEFT) / (RIGHT - LEFT))));

  /** Return a path through points that differ by half a pixel or more: a curve has thousands. */
  const through = (xs, ys) => {
    let path = "", x = -9, y = -9;
    for (let k = 0; k < bins; k++) {
      if (Math.hypot(xs(k) - x, ys(k) - y) < 0.5) continue;
      [x, y] = [xs(k), ys(k)];
      path += `${path ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    }
    return path;
  };
  const rocPath = ({ same, different }) =>
    through((k) => rare(different.upto[k]), (k) => share(same.upto[k]));
  /** Return the outline of a histogram, scaled to its own highest bar, of bars 0.02 wide. */
  const outline = ({ counts }) => {
    const wide = Math.max(1, Math.round(0.02 / step));
    const bars = Array.from({ length: Math.ceil(bins / wide) }, (_, i) =>
      counts.slice(i * wide, (i + 1) * wide).reduce((a, b) => a + b, 0));
    const highest = Math.max(...bars);
    const tops = bars.map((count, i) =>
      `V${share(0.9 * count / highest).toFixed(1)}H${Math.min(RIGHT, distance((i + 1) * wide * step)).toFixed(1)}`);
    return `M${LEFT} ${BOTTOM}${tops.join("")}V${BOTTOM}Z`;
  };
  methods.forEach((method, i) => put(others[i], "d", rocPath(method)));
  let drawn = "";

  panel.draw = ({ method, gallery, rate, threshold }) => {
    const { same, different } = chosen();
    if (rate !== null) {
      threshold = panel.state.threshold = +(Math.max(0, last(different.upto, rate)) * step).toFixed(6);
      panel.fields.threshold(threshold);
    }
    const precision = (k) => same.upto[k] / (same.upto[k] + gallery * different.upto[k] || 1);
    if (drawn !== `${method} ${gallery}`) { // curves stay as they are while the threshold moves
      drawn = `${method} ${gallery}`;
      put(one, "d", outline(same));
      put(two, "d", outline(different));
      put(found, "d", rocPath(chosen()));
      put(precise, "d", through((k) => recall(same.upto[k]), (k) => share(precision(k))));
    }
    const k = bin(threshold), right = same.upto[k], wrong = different.upto[k];
    const [x, y] = [recall(right), share(precision(k))];
    put(line, "transform", `translate(${distance(threshold)} 0)`);
    put(onRoc, "transform", `translate(${rare(wrong)} ${share(right)})`);
    put(onSought, "transform", `translate(${x} ${y})`);
    const alarms = gallery * wrong;
    const text = `Threshold ${threshold.toFixed(3)}, a similarity of ${(1 - threshold).toFixed(3)}: `
      + `${number(100 * right, 1)}% of the pairs of one person are found; false match rate `
      + `${number(100 * wrong, 2)}%. Among ${number(gallery)} strangers expect `
      + `${number(alarms, alarms < 10 ? 1 : 0)} false matches.`;
    valued(line, threshold, `distance ${threshold.toFixed(3)}`, 0, farthest);
    valued(onRoc, wrong, `false match rate ${number(100 * wrong, 2)}%, found ${number(100 * right, 1)}%`);
    valued(onSought, right, `recall ${number(100 * right, 1)}%, precision ${number(100 * precision(k), 1)}%`);
    const few = rate !== null && rate * different.total < 1;
    panel.say(few ? `${text} (${number(different.total)} pairs are too few to tell so small a rate.)` : text);
  };
  panel.show(panel.state);
  return () => panel.close();
}

export default { render };
