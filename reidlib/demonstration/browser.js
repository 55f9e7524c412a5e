// The query browser: one track asks, all others are ranked by their distance to it.
// Data: vectors (float16, unit rows), pictures (a JPEG a row), camera, start, end, frames,
// identity and pid of every row (pid -1: nobody knows), shown (how many of a ranking).
// In the web book a picture of the visitor's own may ask (notebooks/book/static/search.js).

const LEFT = 20, RIGHT = 660; // of the line of distances
const CELLS = 60; // rows of the matrix, at most
const OWN = -1; // the query that is no row: the visitor's own picture

function render({ model, el }) {
  const panel = new Panel(model, el, "Query browser",
    "Click a face, a picture of the ranking, or a cell of the matrix. Drag the line of the claim, or move it with the "
    + "arrow keys. ✓ and a circle: the same person; ✗, dashes and a cross: another one; a ring: nobody knows; faded: beyond the claim.");
  const { camera, start, end, frames, identity, pid, shown, bound } = panel.data;
  const farthest = Math.max(1.2, panel.state.claim); // of the distances that the line and the claim reach
  const rows = [...camera.keys()], sources = panel.data.pictures.map(picture);
  const vectors = unpack(panel.data.vectors), width = vectors.length / rows.length;
  let own = { vector: null, source: "" };
  const vector = (row) => row === OWN ? own.vector : vectors.subarray(row * width, (row + 1) * width);
  const distance = (i, j) => {
    const [one, other] = [vector(i), vector(j)];
    let dot = 0;
    for (let k = 0; k < width; k++) dot += one[k] * other[k];
    return 1 - dot;
  };
  const when = (row) => row === OWN ? "your picture" : `${camera[row]}, ${start[row].toFixed(0)} s`;
  const known = (row) => row !== OWN && pid[row] >= 0;
  /** Return the rows ranked for a query, each with its distance, and whether it is right. */
  const rank = ({ query, elsewhere }) => rows
    .filter((row) => row !== query && !(elsewhere && camera[row] === camera[query]))
    .map((row) => ({ row, d: distance(query, row), right: known(query) && known(row) ? pid[row] === pid[query] : null }))
    .sort((a, b) => a.d - b.d);
  const ask = (query) => panel.set({ query, why: 0 });

  const order = [...rows].sort((a, b) => identity[a] - identity[b] || start[a] - start[b]);
  panel.choice("query", { label: "query", title: "the track whose person is sought", act: ask,
    options: order.map((row) => [row, `person ${identity[row]}: ${camera[row]}, ${start[row].toFixed(0)} to ${end[row].toFixed(0)} s`]) });
  panel.slider("claim", { label: "claim", title: "up to this cosine distance the system says: the same person",
    min: 0, max: farthest, step: 0.01, format: (value) => value.toFixed(2) });
  panel.toggle("elsewhere", { label: "other cameras only", title: "leave out the query's own camera" });
  if (bound && model.get("reply")) { // it needs the network, and so a kernel
    panel.choice("why", { label: "explain match", title: "tint what makes the query and this match alike",
      options: [[0, "–"], ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => [n, `rank ${n}`])],
      act: (why) => { panel.set({ why }); panel.tell(); } });
  }

  const card = (row, caption, click) => html("button", { type: "button", title: `ask for this one: ${when(row)}`, click },
    html("img", { src: row === OWN ? own.source : sources[row], alt: "" }), html("span", {}, caption));
  const longest = new Map();
  for (const row of rows) if (!longest.has(identity[row]) || frames[row] >= frames[longest.get(identity[row])]) longest.set(identity[row], row);
  const people = [...longest.entries()].sort((a, b) => a[0] - b[0]);
  const faces = html("div", { class: "faces", role: "group", "aria-label": "one picture a person" },
    ...people.map(([person, row]) => card(row, String(person), () => ask(row))));
  const ranking = html("div", { class: "ranking", role: "group", "aria-label": "query and ranking" });
  panel.root.insertBefore(html("div", {}, html("style", {}, `.reid .faces, .reid .ranking { display: flex; flex-wrap: wrap; gap: 4px; margin: 4px 0; }
    .reid .faces button, .reid .ranking button { display: grid; justify-items: center; padding: 2px; font-size: 12px; line-height: 1.25; white-space: pre; text-align: center; }
    .reid .faces img { height: 52px; } .reid .ranking img { height: 106px; } .reid .ranking .faded img { opacity: .3; }
    .reid .ranking button { border-width: 4px; } .reid .ranking .asked { border: 4px double var(--ink); margin-right: 12px; }
    .reid .ranking .yes { border-color: var(--right); } .reid .ranking .no { border-color: var(--wrong); border-style: dashed; }
    .reid canvas { max-width: 100%; cursor: crosshair; }`), faces, ranking), panel.pictures);

  const search = model.get("search");
  if (search?.missing) faces.before(html("p", { class: "help" }, search.missing));
  else if (search) {
    const place = (name) => new URL(name, model.get("address"));
    import(place(search.module)).then(({ asking }) => faces.before(asking({ html, files: place(search.files), megabytes: search.megabytes,
      found: (vector, source) => { own = { vector, source }; ask(OWN); } })));
  }

  const x = (value) => LEFT + clamp(value, 0, farthest) / farthest * (RIGHT - LEFT);
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2].map((value) => [value, value.toFixed(1)]);
  const scale = panel.chart(690, 124, "All distances to the query, and the claim", axes({ left: LEFT, right: RIGHT, top: 28, bottom: 84,
    x, y: (value) => value, ticksX: ticks, ticksY: [], nameX: "cosine distance to the query", nameY: "", title: "All tracks by their distance" }));
  const marks = svg("g"), claimed = svg("g", {}, svg("path", { d: "M0 28V84", stroke: "transparent", "stroke-width": 26 }),
    svg("path", { d: "M0 28V84", stroke: "var(--ink)", "stroke-width": 2, "stroke-dasharray": "6 3" }),
    svg("circle", { cy: 28, r: 8, fill: "var(--fourth)", stroke: "var(--ink)" }));
  scale.append(marks, claimed);
  const claim = (value) => panel.set({ claim: +clamp(value, 0, farthest).toFixed(3) });
  panel.grip(claimed, "claim", { move: (px) => claim((px - LEFT) / (RIGHT - LEFT) * farthest),
    step: (dx, dy) => claim(panel.state.claim + 0.01 * (dx || dy)) });

  // The matrix: rows by camera and time; a cell's query is its row.
  const sorted = [...rows].sort((a, b) => (camera[a] < camera[b] ? -1 : camera[a] > camera[b] ? 1 : start[a] - start[b])).slice(0, CELLS);
  const side = Math.max(4, Math.floor(360 / sorted.length)), size = side * sorted.length;
  const matrix = html("canvas", { width: size, height: size, tabindex: 0, role: "img", title: "distances of all pairs, dark is near: click a cell",
    click: (event) => pick(event.offsetX * size / matrix.clientWidth / side, event.offsetY * size / matrix.clientHeight / side),
    keydown: (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (!(event.key in steps)) return;
      event.preventDefault();
      pick(sorted.indexOf(panel.state.match) + steps[event.key][0], sorted.indexOf(panel.state.query) + steps[event.key][1]);
    } });
  const pick = (column, row) => {
    const [match, query] = [column, row].map((value) => sorted[clamp(Math.floor(value), 0, sorted.length - 1)]);
    panel.set({ query, match, why: 0 });
  };
  const cell = html("p", {});
  panel.pictures.append(html("div", {}, matrix, cell));
  const image = new ImageData(size, size), paint = new Uint32Array(image.data.buffer);
  sorted.forEach((one, i) => sorted.forEach((other, j) => {
    const grey = Math.round(255 * clamp(distance(one, other) / farthest, 0, 1));
    const value = 0xff000000 | grey << 16 | grey << 8 | Math.round(grey * 0.9);
    for (let a = 0; a < side; a++) paint.fill(value, (i * side + a) * size + j * side, (i * side + a) * size + (j + 1) * side);
  }));

  let drawn = "", hits = [];
  panel.draw = (state) => {
    const { query, claim, why } = state;
    const key = JSON.stringify([query, state.elsewhere, why, state.match, query === OWN && own.source]);
    if (key !== drawn) { // the claim alone fades or shows what is there
      drawn = key;
      hits = rank(state);
      ranking.replaceChildren(card(query, `query\n${when(query)}\n `, () => ask(query)), ...hits.slice(0, shown).map(({ row, d, right }, i) =>
        card(row, `${i + 1}${right === null ? "" : right ? " ✓" : " ✗"}\n${when(row)}\n${d.toFixed(2)}`, () => ask(row))));
      ranking.firstChild.className = "asked";
      marks.replaceChildren(...hits.map(({ row, d, right }, i) => {
        const [px, py] = [x(d), 40 + 11 * (i % 4)];
        const told = svg("title", {}, when(row));
        if (right === false) return svg("path", { d: `M${px - 4} ${py - 4}l8 8m0-8l-8 8`, stroke: "var(--wrong)", "stroke-width": 2 }, told);
        return svg("circle", { cx: px, cy: py, r: 5, fill: right ? "var(--right)" : "none", stroke: right ? "none" : "var(--ink)" }, told);
      }));
      const pen = matrix.getContext("2d"), [i, j] = [sorted.indexOf(query), sorted.indexOf(state.match)];
      pen.putImageData(image, 0, 0);
      pen.lineWidth = 2;
      pen.strokeStyle = "#d55e00";
      if (i >= 0) pen.strokeRect(0, i * side, size, side);
      if (j >= 0) pen.strokeRect(j * side, 0, side, size);
      const told = j < 0 ? "Rows and columns by camera and time." : `${when(query)} and ${when(state.match)}: distance ${distance(query, state.match).toFixed(2)}.`;
      write(cell, `Distances of all pairs, dark is near. ${told}`);
      put(matrix, "aria-label", cell.textContent);
      if (why) explain();
    }
    hits.slice(0, shown).forEach(({ d, right }, i) => {
      ranking.children[i + 1].className = `${right === null ? "" : right ? "yes" : "no"} ${d <= claim ? "" : "faded"}`;
    });
    put(claimed, "transform", `translate(${x(claim).toFixed(1)} 0)`);
    valued(claimed, claim, `distance ${claim.toFixed(2)}`, 0, farthest);
    const within = hits.filter(({ d }) => d <= claim), true_ = hits.filter(({ right }) => right);
    const said = `Within a distance of ${claim.toFixed(2)} the system claims ${within.length === 1 ? "1 track" : `${within.length} tracks`}`;
    panel.say(query === OWN ? `${said}.${within.length ? " If your picture shows nobody of plaza, each claim is a false match." : ""}`
      : !known(query) ? `${said}. Who this is, nobody knows.`
      : `${said}; ${within.filter(({ right }) => right).length} of the person's ${true_.length} are among them.`);
  };
  /** Show the tinted pictures of the kernel's reply, or say that it works on them. */
  const explain = () => {
    const { query, why } = panel.state, reply = model.get("reply"), match = hits[why - 1]?.row;
    if (!why || match === undefined) return;
    const ready = reply.query === query && reply.match === match;
    const cards = [ranking.children[0], ranking.children[why]].filter(Boolean);
    cards.forEach((node, i) => {
      if (ready) node.querySelector("img").src = picture(reply.pictures[i]);
      else write(node.querySelector("span"), `working …\n \n `);
    });
    if (ready) cards.forEach((node, i) => write(node.querySelector("span"), i ? `rank ${why}, yellow:\nwhat made\nthem alike` : "query\n \n "));
  };
  model.on("change:reply", explain);
  panel.show(panel.state);
  return () => { model.off("change:reply", explain); panel.close(); };
}

export default { render };
