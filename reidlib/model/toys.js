// The toy world: twelve points on a plane instead of images, which a metric loss moves.
// Data: labels (the person of each point), starts (for each seed twelve [x, y]), beta, rate.
// Distances are those on the plane; the losses are those of losses.py with normalize=False.

const SIZE = 440, EDGE = 34, REACH = 2; // the plane goes from -REACH to REACH, whatever happens
const LAST = 200; // steps that the curve of the loss has room for
const MARGIN = 2; // the largest
const COLOURS = ["var(--right)", "var(--wrong)", "var(--third)"];
const SHAPES = ["M-8 0A8 8 0 1 1 8 0A8 8 0 1 1-8 0Z", "M-7.5-7.5H7.5V7.5H-7.5Z", "M0-10L9 7H-9Z"];

/** Return the distances of all pairs of points. */
function distances(points) {
  return points.map(([x, y]) => points.map(([u, v]) => Math.hypot(x - u, y - v)));
}

/** Return the value of a loss at points, its gradient, their distances, and who is one person. */
function measure(points, labels, { loss, mining, margin }, beta) {
  const d = distances(points), n = points.length;
  const pairs = [], terms = [];
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) if (i !== j) pairs.push([i, j]);
  const same = (i, j) => labels[i] === labels[j];
  const add = (value, slopes) => terms.push({ value, slopes }); // slopes: [i, j, d value / d d_ij]
  let count = null; // over how many terms the mean goes; null: over those above 0
  if (loss === "contrastive") {
    for (const [i, j] of pairs) {
      const short = Math.max(0, margin - d[i][j]);
      if (same(i, j)) add(d[i][j] ** 2 / 2, [[i, j, d[i][j]]]);
      else add(short ** 2 / 2, [[i, j, -short]]);
    }
    count = pairs.length;
  } else if (loss === "margin") {
    for (const [i, j] of pairs) {
      const y = same(i, j) ? 1 : -1;
      add(Math.max(0, margin + y * (d[i][j] - beta)), [[i, j, y]]);
    }
  } else if (mining === "hard") { // the farthest partner and the nearest stranger of each anchor
    for (let a = 0; a < n; a++) {
      const [partner, stranger] = hardest(a, d, same);
      add(Math.max(0, d[a][partner] - d[a][stranger] + margin), [[a, partner, 1], [a, stranger, -1]]);
    }
    count = n;
  } else {
    for (const [a, partner] of pairs.filter(([i, j]) => same(i, j))) {
      for (let stranger = 0; stranger < n; stranger++) {
        const gap = d[a][partner] - d[a][stranger];
        const chosen = mining === "all" || (gap < 0 && gap > -margin);
        if (same(a, stranger) || !chosen) continue;
        add(Math.max(0, gap + margin), [[a, partner, 1], [a, stranger, -1]]);
      }
    }
  }
  const active = terms.filter(({ value }) => value > 0);
  count = Math.max(1, count ?? active.length);
  const gradient = points.map(() => [0, 0]);
  for (const [i, j, slope] of active.flatMap(({ slopes }) => slopes)) {
    const scale = slope / count / Math.max(d[i][j], 1e-9);
    for (const axis of [0, 1]) {
      const pull = scale * (points[i][axis] - points[j][axis]);
      gradient[i][axis] += pull;
      gradient[j][axis] -= pull;
    }
  }
  return { value: active.reduce((sum, term) => sum + term.value, 0) / count, gradient, d, same };
}

/** Return the farthest partner and the nearest stranger of point a. */
function hardest(a, d, same) {
  const others = [...d.keys()].filter((i) => i !== a);
  const partners = others.filter((i) => same(a, i)), strangers = others.filter((i) => !same(a, i));
  return [partners.reduce((best, i) => (d[a][i] > d[a][best] ? i : best)),
    strangers.reduce((best, i) => (d[a][i] < d[a][best] ? i : best))];
}

/** Return the farthest pair of one person, the nearest of two, the share of wrong triplets. */
function sum(d, same) {
  let farthest = 0, nearest = Infinity, wrong = 0, triplets = 0;
  d.forEach((row, a) => row.forEach((toB, b) => {
    if (a === b) return;
    if (!same(a, b)) nearest = Math.min(nearest, toB);
    else farthest = Math.max(farthest, toB);
    if (same(a, b)) row.forEach((toC, c) => {
      if (same(a, c)) return;
      triplets += 1;
      if (toB > toC) wrong += 1;
    });
  }));
  return { farthest, nearest, wrong: wrong / triplets };
}

function render({ model, el }) {
  const panel = new Panel(model, el, "Toy world of losses",
    "Drag points with the mouse, or the edge of the solid ring to change the margin. With the "
    + "keyboard, Tab gets to a point, the arrow keys move it (with Shift ten times as far). "
    + "The rings stand around the point chosen last; arrows show where the loss moves each point.");
  const { labels, starts, beta, rate } = panel.data;
  let path = [], playing = null; // path: where the points were at every step so far
  const evaluate = (state) => measure(state.points, labels, state, beta);
  const place = (value) => EDGE + (value + REACH) / (2 * REACH) * (SIZE - 2 * EDGE);
  const back = (pixel) => (pixel - EDGE) / (SIZE - 2 * EDGE) * 2 * REACH - REACH;
  const px = place, py = (value) => SIZE - place(value);
  const inside = (value) => +clamp(value, -REACH, REACH).toFixed(4);

  /** Put the points somewhere; their way begins anew. */
  const begin = (points, more = {}) => {
    path = [];
    panel.set({ points, steps: 0, ...more });
  };
  const step = (count = 1) => {
    let { points, steps } = panel.state;
    for (let i = 0; i < count; i++) {
      path.push({ points, value: evaluate({ ...panel.state, points }).value });
      const { gradient } = evaluate({ ...panel.state, points });
      points = points.map(([x, y], k) => [x - rate * gradient[k][0], y - rate * gradient[k][1]]);
    }
    panel.set({ points, steps: steps + count });
  };
  const pause = () => {
    clearInterval(playing);
    playing = null;
    write(play, "play");
  };

  panel.choice("loss", { label: "loss", title: "what moves the points",
    options: ["triplet", "contrastive", "margin"].map((name) => [name, name]) });
  const mining = panel.choice("mining", { label: "mining", title: "which triplets count",
    options: ["hard", "semi-hard", "all"].map((name) => [name, name]) });
  panel.slider("margin", { label: "margin", title: "how much nearer a partner must be than a stranger",
    min: 0, max: MARGIN, step: 0.05, format: (value) => value.toFixed(2) });
  panel.choice("seed", { label: "start", title: "where the points begin",
    options: starts.map((_, seed) => [seed, `number ${seed}`]),
    act: (seed) => { pause(); begin(starts[seed], { seed }); } });
  const play = panel.button("play", "let the loss move the points, or stop it", () => {
    if (playing) return pause();
    write(play, "pause");
    // Who asked for less motion sees every tenth step, once a second.
    playing = setInterval(() => {
      step(calm() ? 10 : 1);
      if (still() || panel.state.steps >= LAST) pause();
    }, calm() ? 1000 : 80);
  });
  panel.button("step", "one step down the gradient", () => { pause(); step(); });
  panel.button("back", "take the last step back", () => {
    pause();
    if (path.length) panel.set({ points: path.pop().points, steps: panel.state.steps - 1 });
  });
  panel.button("start again", "put the points where they began", () => {
    pause();
    begin(starts[panel.state.seed]);
  });

  const ticks = [-2, -1, 0, 1, 2].map((value) => [value, String(value)]);
  const area = { left: EDGE, right: SIZE - EDGE, top: EDGE, bottom: SIZE - EDGE };
  const plane = panel.chart(SIZE, SIZE, "Twelve points of three people on a plane", axes({ ...area, x: px, y: py,
    ticksX: ticks, ticksY: ticks, nameX: "", nameY: "", title: "The plane: three people, four points each" }));
  const trails = labels.map((label) => svg("path", { fill: "none", stroke: COLOURS[label - 1], "stroke-opacity": 0.5 }));
  const inner = svg("circle", { fill: "none", stroke: "var(--ink)", "stroke-dasharray": "5 4" });
  const outer = svg("circle", { fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 });
  const ringName = svg("text", { "text-anchor": "middle" });
  const arrows = svg("path", { fill: "none", stroke: "var(--ink)", "stroke-width": 1.8 });
  const dots = labels.map((label, i) => svg("g", { focus: () => panel.state.anchor !== i && panel.set({ anchor: i }) },
    svg("circle", { r: 15, fill: "transparent" }),
    svg("path", { d: SHAPES[label - 1], fill: COLOURS[label - 1], stroke: "var(--paper)" })));
  const edge = svg("g", {}, svg("circle", { r: 14, fill: "transparent" }),
    svg("rect", { x: -6, y: -6, width: 12, height: 12, fill: "var(--fourth)", stroke: "var(--ink)" }));
  plane.append(...trails, inner, outer, arrows, ...dots, edge, ringName);
  dots.forEach((dot, i) => {
    const put_ = (x, y) => {
      pause();
      begin(panel.state.points.map((point, k) => (k === i ? [inside(x), inside(y)] : point)));
    };
    panel.grip(dot, `point ${i + 1}, person ${labels[i]}`, {
      move: (x, y) => put_(back(x), back(SIZE - y)),
      step: (dx, dy) => put_(panel.state.points[i][0] + 0.02 * dx, panel.state.points[i][1] + 0.02 * dy) });
  });
  /** Return the radii of the two rings around the anchor, and what the outer one is called. */
  const rings = ({ loss, margin, anchor }, { d, same }) => {
    if (loss === "contrastive") return [0, margin, 0, "margin"];
    if (loss === "margin") return [Math.max(beta - margin, 0), beta + margin, beta, "beta + margin"];
    const farthest = d[anchor][hardest(anchor, d, same)[0]];
    return [farthest, farthest + margin, farthest, "farthest partner + margin"];
  };
  const setMargin = (value) => panel.set({ margin: +clamp(value, 0, MARGIN).toFixed(3) });
  panel.grip(edge, "margin ring", {
    move: (x, y) => {
      const [u, v] = panel.state.points[panel.state.anchor];
      setMargin(Math.hypot(back(x) - u, back(SIZE - y) - v) - rings(panel.state, evaluate(panel.state))[2]);
    },
    step: (dx, dy) => setMargin(panel.state.margin + 0.05 * (dx || dy)) });

  const left = 56, right = 356, top = EDGE, bottom = 250;
  const when = (value) => left + value / LAST * (right - left);
  const high = (value) => bottom - clamp(value, 0, 2) / 2 * (bottom - top);
  const course = panel.chart(370, 290, "The loss after every step", axes({ left, right, top, bottom, x: when, y: high,
    ticksX: [0, 50, 100, 150, 200].map((value) => [value, String(value)]), nameX: "steps", nameY: "loss",
    ticksY: [0, 0.5, 1, 1.5, 2].map((value) => [value, String(value)]), title: "The loss on its way" }));
  const line = svg("path", { fill: "none", stroke: "var(--right)", "stroke-width": 2.5 });
  const now = svg("circle", { r: 5, fill: "var(--right)" });
  course.append(line, now);

  const moving = ({ gradient }) => gradient.filter(([x, y]) => Math.hypot(x, y) > 1e-4).length;
  const still = () => moving(evaluate(panel.state)) === 0;
  const way = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

  panel.draw = (state) => {
    const { points, loss, margin, anchor, steps } = state, result = evaluate(state);
    const useless = loss !== "triplet";
    mining.disabled = useless;
    put(mining, "title", useless ? `the ${loss} loss takes all pairs: there is nothing to mine` : "which triplets count");
    const spots = points.map(([x, y]) => [px(x), py(y)]);
    dots.forEach((dot, i) => {
      put(dot, "transform", `translate(${spots[i][0].toFixed(1)} ${spots[i][1].toFixed(1)})`);
      valued(dot, points[i][0].toFixed(2), `at ${points[i][0].toFixed(2)}, ${points[i][1].toFixed(2)}`, -REACH, REACH);
      put(trails[i], "d", way([...path.map((moment) => [px(moment.points[i][0]), py(moment.points[i][1])]), spots[i]]));
    });
    put(arrows, "d", result.gradient.map(([x, y], i) => arrow(spots[i], [-x, y])).join(""));
    const [small, large, , name] = rings(state, result), [cx, cy] = spots[anchor];
    const scale = px(1) - px(0), far = Math.hypot(...points[anchor]) || 1;
    for (const [ring, radius] of [[inner, small], [outer, large]]) {
      for (const [key, value] of [["cx", cx], ["cy", cy], ["r", radius * scale]]) put(ring, key, value.toFixed(1));
    }
    // The grip lies where the ring comes nearest to the middle, and so inside the picture.
    const [gx, gy] = points[anchor].map((value, axis) => value - large * (value / far || (axis ? 0 : 1)));
    put(edge, "transform", `translate(${px(inside(gx)).toFixed(1)} ${py(inside(gy)).toFixed(1)})`);
    valued(edge, margin, `margin ${margin.toFixed(2)}`, 0, MARGIN);
    put(ringName, "x", clamp(cx, 110, SIZE - 110).toFixed(1));
    put(ringName, "y", clamp(cy - large * scale - 6, EDGE + 14, SIZE - EDGE).toFixed(1));
    write(ringName, name);
    put(line, "d", way([...path.map(({ value }, k) => [when(k), high(value)]), [when(steps), high(result.value)]]));
    put(now, "cx", when(Math.min(steps, LAST)));
    put(now, "cy", high(result.value));
    const { farthest, nearest, wrong } = sum(result.d, result.same);
    panel.say(`After ${steps} steps: loss ${result.value.toFixed(3)}. Farthest pair of one person `
      + `${farthest.toFixed(2)}, nearest of two ${nearest.toFixed(2)}. ${Math.round(100 * wrong)}% of the triplets `
      + `are in the wrong order; ${moving(result)} of ${points.length} points still move.`);
  };
  panel.show(panel.state);
  return () => { pause(); panel.close(); };
}

/** Return an arrow from a point down the gradient, 90 units of the picture for each of its own. */
function arrow([x, y], [dx, dy]) {
  const length = Math.hypot(dx, dy);
  if (length < 1e-4) return "";
  const long = Math.min(90, 250 * length), [ux, uy] = [dx / length, dy / length];
  const [tx, ty] = [x + long * ux, y + long * uy], side = Math.min(6, long / 2);
  const barb = (turn) => `M${tx.toFixed(1)} ${ty.toFixed(1)}l${(-side * (ux + turn * uy)).toFixed(1)} ${(-side * (uy - turn * ux)).toFixed(1)}`;
  return `M${x.toFixed(1)} ${y.toFixed(1)}L${tx.toFixed(1)} ${ty.toFixed(1)}${barb(1)}${barb(-1)}`;
}

export default { render };
