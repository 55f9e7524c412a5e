// The labelling panel: give tracks their person, merge two, split one at a frame, take it back.
// Data: frame and track of every box (int32), crops [{row, jpeg}], some rows' pictures.
// State: actions [[what, track, value]], as annotation.replay does them, and what is chosen.

const LEFT = 12, RIGHT = 640, ROW = 19, HEAD = 26;
const SHOWN = 10; // pictures of one track

/** Do the actions again from the start; returns each box's track and the names; throws Error. */
function replay({ frame, track }, actions) {
  track = track.slice();
  const names = new Map();
  const rowsOf = (wanted) => [...track.keys()].filter((row) => wanted.has(track[row]));
  const refuse = (rows, what, which) => { // one person, or one track, twice in a frame
    const frames = rows.map((row) => frame[row]).sort((a, b) => a - b);
    const double = [...new Set(frames.filter((value, i) => value === frames[i - 1]))];
    if (!double.length) return;
    const shown = double.slice(0, 10).join(", ") + (double.length > 10 ? ", ..." : "");
    throw new Error(`${what} ${which} would be in two places at once in frame ${shown}; `
      + "split one of the tracks there, or give them different identities");
  };
  for (const [what, one, value] of actions) {
    const mine = rowsOf(new Set([one]));
    if (!mine.length) throw new Error(`no such track: ${one}`);
    if (what === "name") {
      names.set(one, value);
    } else if (what === "merge") {
      const rows = rowsOf(new Set([one, value])), kept = Math.min(one, value);
      if (one === value || rows.length === mine.length) throw new Error("choose two tracks to merge");
      refuse(rows, "track", kept);
      const given = Math.max(names.get(one) ?? -1, names.get(value) ?? -1);
      names.delete(one);
      names.delete(value);
      names.set(kept, given);
      for (const row of rows) track[row] = kept;
    } else {
      const later = mine.filter((row) => frame[row] >= value);
      if (!later.length || later.length === mine.length) {
        const frames = mine.map((row) => frame[row]);
        throw new Error(`cannot split track ${one} at frame ${value}: it spans frames `
          + `${Math.min(...frames)} to ${Math.max(...frames)}`);
      }
      const added = Math.max(...track) + 1;
      for (const row of later) track[row] = added;
    }
  }
  for (const pid of new Set(names.values())) {
    const tracks = new Set([...names.keys()].filter((one) => names.get(one) === pid));
    if (pid >= 0) refuse(rowsOf(tracks), "pid", pid);
  }
  return { track, names };
}

/** Return a person's colour: the same for a number whatever else is named. */
const colour = (pid) => (pid < 0 ? "var(--faint)" : `hsl(${(pid * 137.5) % 360} 65% 50%)`);

function render({ model, el }) {
  const panel = new Panel(model, el, "Labelling panel",
    "Click a bar to choose a track; drag it on another to merge the two. Type a person's number and press Enter: "
    + "the track gets it, and the next one without a name is chosen. On the bars, up and down choose a track, "
    + "left and right move the dashed line, s splits there, u takes the last step back.");
  const boxes = { frame: unpack(panel.data.frame), track: unpack(panel.data.track) };
  const crops = panel.data.crops.map(({ row, jpeg }) => ({ row, src: picture(jpeg) }));
  const last = Math.max(...boxes.frame);
  let now = replay(boxes, panel.state.actions), lives = [];

  /** Return first and last frame of every track, those that begin first above. */
  const measure = () => {
    const found = new Map();
    now.track.forEach((track, row) => {
      const life = found.get(track) ?? { track, from: Infinity, to: -Infinity };
      life.from = Math.min(life.from, boxes.frame[row]);
      life.to = Math.max(life.to, boxes.frame[row]);
      found.set(track, life);
    });
    lives = [...found.values()].sort((a, b) => a.from - b.from || a.track - b.track);
  };
  const name = (track) => now.names.get(track) ?? -1;
  /** Do one thing more, or refuse it with a reason; the kernel hears of it at once. */
  const act = (actions, more = {}) => {
    try {
      now = replay(boxes, actions);
    } catch (error) {
      return panel.say(error.message, true);
    }
    measure();
    const kept = (track) => (lives.some((life) => life.track === track) ? track : lives[0].track);
    const state = { ...panel.state, actions, ...more };
    panel.set({ ...state, track: kept(state.track), other: kept(state.other) });
    panel.tell();
  };
  const add = (what, track, value, more) => act([...panel.state.actions, [what, track, value]], more);
  const nameIt = () => {
    const pid = number_.valueAsNumber, { track } = panel.state; // what stands on the screen
    if (!Number.isInteger(pid) || pid < -1) return panel.say("type a whole number, or -1 for nobody", true);
    const order = lives.map((life) => life.track), from = order.indexOf(track) + 1;
    const next = [...order.slice(from), ...order].find((one) => one !== track && name(one) < 0);
    number_.value = "";
    add("name", track, pid, { track: next ?? track });
  };
  const undo = () => act(panel.state.actions.slice(0, -1));
  const split = () => add("split", panel.state.track, panel.state.frame);

  const number_ = html("input", { type: "number", min: -1, max: 9999, step: 1, title: "the person's number, pid; -1 for nobody",
    keydown: (event) => event.key === "Enter" && nameIt() });
  number_.style.width = "5.5em";
  panel.controls.append(html("label", { "data-name": "pid" }, "person, pid", number_));
  panel.button("name", "give the chosen track this number (Enter)", nameIt);
  const others = html("select", { title: "the track to merge with the chosen one",
    change: () => panel.set({ other: Number(others.value) }) });
  panel.controls.append(html("label", { "data-name": "other" }, "other", others));
  panel.button("merge", "make one track of the chosen one and the other",
    () => add("merge", panel.state.track, panel.state.other));
  panel.button("split", "cut the chosen track at the dashed line; what follows becomes a new track", split);
  panel.button("undo", "take the last step back", undo);

  const strips = [0, 1].map(() => html("figure", { class: "strip" }));
  panel.root.insertBefore(html("div", {}, html("style", {}, `.reid .strip { margin: 4px 0; } .reid .strip div { display: flex; gap: 4px; overflow-x: auto; }
    .reid .strip button { padding: 0 2px; font-size: 12px; display: grid; justify-items: center; } .reid .strip img { height: 92px; }`), ...strips), panel.pictures);
  const rows = new Set(boxes.track).size + 4; // a few may be split; more make the picture higher
  const chart = panel.chart(760, HEAD + rows * ROW + 30, "The life of every track as a bar");
  const x = (frame) => LEFT + frame / (last + 1) * (RIGHT - LEFT);
  const bars = svg("g", { tabindex: 0, role: "listbox", "aria-label": "tracks",
    keydown: (event) => {
      const order = lives.map((life) => life.track), at_ = order.indexOf(panel.state.track);
      const steps = { ArrowUp: -1, ArrowDown: 1 }, moves = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key in steps) panel.set({ track: order[clamp(at_ + steps[event.key], 0, order.length - 1)] });
      else if (event.key in moves) seek(panel.state.frame + moves[event.key] * (event.shiftKey ? 10 : 1));
      else if (event.key === "s") split();
      else if (event.key === "u") undo();
      else if (/^\d$/.test(event.key)) { number_.value = event.key; number_.focus(); }
      else return;
      event.preventDefault();
    } });
  const dashes = svg("path", { stroke: "var(--wrong)", "stroke-width": 2, "stroke-dasharray": "5 4", "pointer-events": "none" });
  const line = svg("circle", { cy: 13, r: 9, fill: "var(--fourth)", stroke: "var(--ink)" });
  chart.append(bars, dashes, line);
  const seek = (frame) => panel.set({ frame: clamp(Math.round(frame), 0, last) });
  panel.grip(line, "frame", { move: (px) => seek((px - LEFT) / (RIGHT - LEFT) * (last + 1)),
    step: (dx, dy) => seek(panel.state.frame + (dx || dy)) });

  const bar = ({ track, from, to }, i) => {
    const pid = name(track), y = HEAD + i * ROW;
    const node = svg("g", { role: "option", "data-grip": "", "aria-label": `track ${track}, ${pid < 0 ? "no name" : `pid ${pid}`}`,
      pointerdown: (event) => {
        panel.set({ track });
        bars.focus({ preventScroll: true });
        const held = chart.querySelector(`[data-track="${track}"]`); // the bars were drawn anew
        const start = at(chart, event).y, dragged = (moved) => put(held, "transform", `translate(0 ${(at(chart, moved).y - start).toFixed(1)})`);
        addEventListener("pointermove", dragged);
        addEventListener("pointerup", (end) => {
          removeEventListener("pointermove", dragged);
          put(held, "transform", "");
          const under = lives[Math.floor((at(chart, end).y - HEAD) / ROW)];
          if (under && under.track !== track) add("merge", track, under.track, { other: under.track });
        }, { once: true });
        event.preventDefault();
      } },
    svg("rect", { x: x(from), y, width: x(to + 1) - x(from), height: ROW - 5, fill: colour(pid), stroke: "var(--ink)" }),
    svg("text", { x: x(to + 1) + 6, y: y + 12 }, `${track}: ${pid < 0 ? "no name" : `pid ${pid}`}`));
    put(node, "data-track", track);
    return node;
  };
  const strip = (node, track) => {
    const mine = crops.filter(({ row }) => now.track[row] === track), many = Math.min(SHOWN, mine.length);
    const chosen = Array.from({ length: many }, (_, i) => mine[Math.round(i * (mine.length - 1) / Math.max(1, many - 1))]);
    node.replaceChildren(html("figcaption", {}, `track ${track}: ${name(track) < 0 ? "no name" : `pid ${name(track)}`}`),
      html("div", {}, ...chosen.map(({ row, src }) => html("button", { type: "button", title: `move the dashed line to frame ${boxes.frame[row]}`,
        click: () => seek(boxes.frame[row]) }, html("img", { src, alt: "" }), String(boxes.frame[row])))));
  };

  let drawn = null;
  panel.draw = ({ actions, track, other, frame }) => {
    const key = JSON.stringify([actions, track, other]);
    if (key !== drawn) { // the dashed line alone needs no new bars
      if (drawn === null || JSON.parse(drawn)[0].length !== actions.length) now = replay(boxes, actions);
      drawn = key;
      measure();
      bars.replaceChildren(...lives.map(bar));
      bars.querySelectorAll("[role=option]").forEach((node, i) => {
        put(node, "aria-selected", lives[i].track === track);
        put(node.firstChild, "stroke-width", lives[i].track === track ? 3.5 : lives[i].track === other ? 2 : 0.5);
      });
      const bottom = HEAD + Math.max(rows, lives.length) * ROW + 30;
      put(chart, "viewBox", `0 0 760 ${bottom}`);
      others.replaceChildren(...lives.map((life) => html("option", { value: life.track }, `track ${life.track}`)));
      others.value = other;
      strip(strips[0], track);
      strip(strips[1], other);
      const share = now.track.filter((one) => name(one) >= 0).length / now.track.length;
      const done = actions.map((action) => action.join(" ")).join(", ") || "nothing yet";
      panel.say(`Track ${track} is chosen. ${Math.round(100 * share)}% of the boxes have a name. Done: ${done}.`);
    }
    put(line, "cx", x(frame).toFixed(1));
    put(dashes, "d", `M${x(frame).toFixed(1)} 22V${HEAD + lives.length * ROW}`);
    valued(line, frame, `frame ${frame}`, 0, last);
  };
  panel.show(panel.state);
  return () => panel.close();
}

export default { render };
