// The playground: a small head trains with the settings that are chosen, and is watched meanwhile.
// Data: choices (the values of each setting), people (who is on each picture of the plane), and
// runs, each with its settings, steps and frames: step, loss (null before the first step), mAP, cmc
// and points (uint8, x and y of each picture). The kernel puts the run that it trains into `course`.
// In a book there is no `course`: the runs are those of a grid, and the others cannot be chosen.

const SETTINGS = ["backbone", "loss", "margin", "mining", "dim", "lr", "optimiser"];
const TITLES = { backbone: "what turns an image into the vector that the head gets", loss: "what the head learns by",
  mining: "which triplets count", dim: "how many numbers an embedding has", lr: "learning rate: how far each step goes, without unit",
  optimiser: "the rule by which weights follow the gradient" };
const COLOURS = ["var(--right)", "var(--wrong)", "var(--third)", "var(--fourth)", "var(--fifth)"];
const DASHES = ["none", "8 4", "2 4", "11 3 2 3", "5 2"];
const GLYPHS = [ // of radius r, where the pen is
  (r) => `m${-r} 0a${r} ${r} 0 1 1 ${2 * r} 0a${r} ${r} 0 1 1 ${-2 * r} 0z`,
  (r) => `m${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (r) => `m0 ${-1.2 * r}l${1.2 * r} ${2.1 * r}h${-2.4 * r}z`,
  (r) => `m0 ${-1.4 * r}l${1.4 * r} ${1.4 * r}l${-1.4 * r} ${1.4 * r}l${-1.4 * r} ${-1.4 * r}z`,
  (r) => `m${-r / 2} ${-1.5 * r}h${r}v${r}h${r}v${r}h${-r}v${r}h${-r}v${-r}h${-r}v${-r}h${r}z`,
  (r) => `m0 ${1.2 * r}l${1.2 * r} ${-2.1 * r}h${-2.4 * r}z`,
  (r) => `m${-1.5 * r} ${-r / 2}h${3 * r}v${r}h${-3 * r}z`,
  (r) => `m${-r / 2} ${-1.5 * r}h${r}v${3 * r}h${-r}z`];
const PLACE = { left: 56, right: 352, top: 30, bottom: 232 };
const PINS = 4, HIGHEST = 1.5; // runs that are kept in sight; the highest loss of the picture

/** Return what of a state decides a run: mining has an effect with the triplet loss alone. */
function effective(state) {
  const chosen = Object.fromEntries(SETTINGS.map((name) => [name, state[name]]));
  return chosen.loss === "triplet" ? chosen : { ...chosen, mining: "none" };
}
const same = (one, other) => SETTINGS.every((name) => one[name] === other[name]);
const last = ({ frames }) => frames.length - 1;
const whole = (run) => run.frames[last(run)].step === run.steps;

function render({ model, el }) {
  const panel = new Panel(model, el, "Training playground",
    "Choose other settings: the head trains again. Drag the dashed line, or move it with the arrow keys, to see an earlier "
    + "moment. A pinned run stays in the pictures, in its colour and dashes; its number in the table shows it again.");
  const { choices, people } = panel.data, book = model.get("course") === undefined;
  let runs = panel.data.runs, visited = [0], before = -1, again = false, playing = null;
  const course = () => model.get("course") ?? {};
  const listed = () => (book ? visited : [...runs.keys()]);
  const name = (run) => `run ${run < 0 ? runs.length + 1 : listed().indexOf(run) + 1}`;
  const find = (state) => runs.findIndex((run) => same(run.settings, effective(state)) && whole(run));
  const training = () => !book && panel.state.run < 0 && !course().error;
  /** Return the run on the screen; null while the kernel has not begun it. */
  const shown = ({ run, ...state }) => runs[run] ?? (same(course().settings ?? {}, effective(state)) && course().frames.length ? course() : null);

  /** Change settings: show the run that there is, or have the kernel train one. */
  const choose = (changes) => {
    halt();
    const run = find({ ...panel.state, ...changes });
    if (run < 0 && book) return panel.show(panel.state);
    before = panel.state.run < 0 ? before : panel.state.run;
    again = run >= 0 && listed().includes(run);
    if (book && !again) visited.push(run);
    panel.set({ ...changes, run, doing: "run", moment: run < 0 ? 0 : last(runs[run]) });
    if (book) play();
  };
  const halt = () => { clearInterval(playing); playing = null; };
  const seek = (moment) => panel.state.run >= 0 && panel.set({ moment: clamp(moment, 0, last(runs[panel.state.run])) });
  /** Play the run on the screen from its beginning; who asked for less motion sees its end. */
  const play = () => {
    if (calm()) return;
    seek(0);
    playing = setInterval(() => {
      if (panel.state.moment >= last(runs[panel.state.run])) halt();
      seek(panel.state.moment + 1);
    }, 120);
  };

  const margins = () => [...new Set(runs.map(({ settings }) => settings.margin))]
    .filter((margin) => find({ ...panel.state, margin }) >= 0).sort((a, b) => a - b);
  const fields = {};
  const list = (key) => {
    fields[key] = panel.choice(key, { label: key, title: TITLES[key], options: choices[key].map((value) => [value, value]), act: (value) => choose({ [key]: value }) });
  };
  list("backbone");
  list("loss");
  panel.slider("margin", { label: "margin", title: "how much nearer a partner must be than a stranger", unit: "distance", min: 0, max: HIGHEST, step: 0.1,
    format: (value) => value.toFixed(1), act: (value) => {
      const near = book ? margins().reduce((best, one) => (Math.abs(one - value) < Math.abs(best - value) ? one : best)) : value;
      if (near === panel.state.margin) panel.fields.margin(near);
      else choose({ margin: near });
    } });
  SETTINGS.slice(3).forEach(list);
  const pause = panel.button("play", "", () => {
    if (training()) {
      panel.set({ doing: panel.state.doing === "pause" ? "run" : "pause" });
      panel.tell();
    } else if (playing) {
      halt();
      panel.draw(panel.state);
    } else play();
  });
  const stop = panel.button("stop", "end this training here, and keep what it came to", () => {
    panel.set({ doing: "stop" });
    panel.tell();
  });

  // The plane: the watched pictures, a shape and colour a person.
  const persons = [...new Set(people)], side = (value) => 24 + value / 250 * 272;
  const plane = panel.chart(320, 312, "Embedding of some pictures on a plane", svg("rect", { class: "grid", x: 24, y: 30, width: 272, height: 272 }),
    svg("text", { x: 24, y: 20, "font-weight": "bold" }, `${people.length} pictures of ${persons.length} people`));
  const spots = persons.map((person, i) => svg("path", { fill: COLOURS[i % COLOURS.length], stroke: "var(--paper)", "fill-opacity": 0.85 }, svg("title", {}, `person ${person}`)));
  plane.append(...spots);

  const steps = Math.max(1, ...runs.map((run) => run.steps));
  const when = (step) => PLACE.left + Math.min(1, step / steps) * (PLACE.right - PLACE.left);
  const high = (loss) => PLACE.bottom - Math.sqrt(clamp(loss, 0, HIGHEST) / HIGHEST) * (PLACE.bottom - PLACE.top);
  const rank = (k) => PLACE.left + (k - 1) / 19 * (PLACE.right - PLACE.left);
  const share = (value) => PLACE.bottom - value * (PLACE.bottom - PLACE.top);
  const losses = panel.chart(370, 284, "The loss on its way", axes({ ...PLACE, x: when, y: high, ticksX: [0, 1, 2, 3].map((k) => [k * steps / 3, String(Math.round(k * steps / 3))]),
    ticksY: [0, 0.05, 0.2, 0.5, 1, 1.5].map((value) => [value, String(value)]), nameX: "steps", nameY: "loss", title: "The loss on its way" }));
  const curves = panel.chart(370, 284, "CMC: how often the person is among the first of the ranking", axes({ ...PLACE, x: rank, y: share,
    ticksX: [1, 5, 10, 15, 20].map((k) => [k, String(k)]), ticksY: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, `${100 * value}%`]), nameX: "rank", nameY: "share of queries", title: "CMC: found by this rank" }));
  const styled = (chart) => COLOURS.map((stroke, i) => {
    const pair = [svg("path", { fill: "none", stroke, "stroke-width": 2.5, "stroke-dasharray": DASHES[i] }), svg("path", { fill: stroke })];
    chart.append(...pair);
    return pair;
  });
  const ways = styled(losses), found = styled(curves);
  const now = svg("g", {}, svg("path", { d: `M0 ${PLACE.top}V${PLACE.bottom}`, stroke: "transparent", "stroke-width": 24 }),
    svg("path", { d: `M0 ${PLACE.top}V${PLACE.bottom}`, stroke: "var(--ink)", "stroke-width": 2, "stroke-dasharray": "6 3" }),
    svg("circle", { cy: PLACE.top, r: 8, fill: "var(--fourth)", stroke: "var(--ink)" }));
  losses.append(now);
  panel.grip(now, "moment of the training", {
    move: (x) => {
      const run = runs[panel.state.run], step = (x - PLACE.left) / (PLACE.right - PLACE.left) * steps;
      halt();
      if (run) seek(run.frames.findLastIndex((frame) => frame.step <= step + 0.5 * run.steps / last(run)));
    },
    step: (dx, dy) => { halt(); seek(panel.state.moment + Math.sign(dx || dy)); } });

  const table = html("tbody", {}), scroll = html("div", { class: "runs", tabindex: 0, role: "group", "aria-label": "table of all runs" },
    html("table", {}, html("thead", {}, html("tr", {}, ...["run", ...SETTINGS, "steps", "rank-1", "mAP", "curves"].map((text) => html("th", { scope: "col" }, text)))), table));
  panel.root.insertBefore(html("style", {}, `.reid .runs { max-height: 176px; overflow: auto; } .reid .runs table { border-collapse: collapse; width: 100%; font-size: 13px; margin: 0; }
    .reid .runs th, .reid .runs td { text-align: right; padding: 2px 8px; border-bottom: 1px solid var(--faint); background: var(--paper); color: var(--ink); white-space: nowrap; }
    .reid .runs svg { display: inline-block; vertical-align: middle; } .reid .runs button { min-height: 24px; padding: 0 8px; } .reid .runs [aria-current=true] td { font-weight: bold; }`), panel.pictures);
  panel.root.insertBefore(scroll, panel.root.querySelector(".help"));

  const pinned = (run) => panel.state.pins.find(([one]) => one === run);
  const free = () => COLOURS.findIndex((_, i) => !panel.state.pins.some(([, style]) => style === i));
  const style = (run) => pinned(run)?.[1] ?? free();
  const row = (run) => {
    const { settings, frames } = runs[run], end = frames[frames.length - 1], kept = Boolean(pinned(run));
    const visible = kept || run === panel.state.run, colour = COLOURS[style(run)];
    const key = visible ? svg("svg", { width: 34, height: 12, "aria-hidden": "true" }, svg("path", { d: "M0 6H34", stroke: colour, "stroke-width": 2.5, "stroke-dasharray": DASHES[style(run)] }),
      svg("path", { d: `M17 6${GLYPHS[style(run)](4)}`, fill: colour })) : "";
    const full = !kept && panel.state.pins.length >= PINS;
    const pin = html("button", { type: "button", "aria-pressed": kept, title: full ? `${PINS} runs are pinned; unpin one first` : `keep the curves of ${name(run)} in the pictures`, click: () =>
      panel.set({ pins: kept ? panel.state.pins.filter(([one]) => one !== run) : [...panel.state.pins, [run, style(run)]] }) }, kept ? "unpin" : "pin");
    pin.disabled = full;
    const again_ = html("button", { type: "button", title: `show ${name(run)} again`, click: () => { const { mining, ...rest } = settings; choose(mining === "none" ? rest : settings); } }, name(run));
    const cells = [again_, ...SETTINGS.map((key_) => settings[key_]), end.step, end.cmc[0].toFixed(3), end.mAP.toFixed(3)];
    return html("tr", { "aria-current": run === panel.state.run }, ...cells.map((cell) => html("td", {}, typeof cell === "object" ? cell : String(cell))), html("td", {}, key, " ", pin));
  };

  /** Say how a run compares with the one that was shown before it. */
  const compared = (frame) => {
    if (before < 0 || before === panel.state.run || !runs[before]) return "";
    const end = runs[before].frames[last(runs[before])], gain = frame.mAP - end.mAP;
    if (Math.abs(gain) < 1e-5 && frame.cmc[0] === end.cmc[0]) return ` No change against ${name(before)}.`;
    return ` Its mAP is ${Math.abs(gain).toFixed(3)} ${gain < 0 ? "lower" : "higher"} than ${name(before)}'s.`;
  };
  const tell = (run, frame) => {
    const title = name(panel.state.run), capital = title[0].toUpperCase() + title.slice(1);
    if (course().error && panel.state.run < 0) return panel.say(course().error, true);
    if (!run) return panel.say(`Working: ${title} begins …`);
    const scores = `rank-1 ${frame.cmc[0].toFixed(3)}, mAP ${frame.mAP.toFixed(3)}`, loss = frame.loss === null ? "" : `, loss ${frame.loss.toFixed(3)}`;
    const at_ = `step ${frame.step} of ${run.steps}${loss}`;
    if (training()) return panel.say(`${{ run: "Working", pause: "Paused", stop: "Stopping" }[panel.state.doing]}: ${title}, ${at_}; ${scores}.`);
    if (frame !== run.frames[last(run)]) return panel.say(`${capital} at ${at_}: ${scores}.`);
    panel.say(`${capital}${whole(run) ? "" : `, stopped after ${frame.step} of ${run.steps} steps`}${again ? " was made before" : ""}: ${scores}.${compared(frame)}`);
  };
  const line = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const marks = (points, i) => points.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}${GLYPHS[i](3.5)}`).join("");

  let listed_ = "";
  panel.draw = (state) => {
    const run = shown(state), live = training(), moment = run ? (live ? last(run) : clamp(state.moment, 0, last(run))) : 0, frame = run?.frames[moment];
    const useless = state.loss !== "triplet";
    fields.mining.disabled = useless;
    put(fields.mining, "title", useless ? `the ${state.loss} loss takes all pairs: there is nothing to mine` : TITLES.mining);
    if (book) for (const [key, field] of Object.entries(fields)) choices[key].forEach((value, i) => {
      field.options[i].disabled = find({ ...state, [key]: value }) < 0; // no such run was recorded
    });
    write(pause, live ? (state.doing === "pause" ? "go on" : "pause") : playing ? "pause" : "play");
    put(pause, "title", live ? "let the training wait, or go on" : "watch this run again from its beginning");
    stop.disabled = !live || !run;
    const drawn = new Map(state.pins.filter(([one]) => runs[one]).map(([one, i]) => [i, { run: runs[one], until: last(runs[one]) }]));
    if (run) drawn.set(style(state.run), { run, until: moment });
    COLOURS.forEach((_, i) => {
      const { run: one, until } = drawn.get(i) ?? { run: { frames: [] }, until: -1 };
      const way = one.frames.slice(0, until + 1).filter(({ loss }) => loss !== null).map(({ step, loss }) => [when(step), high(loss)]);
      const cmc = (one.frames[until]?.cmc ?? []).map((value, k) => [rank(k + 1), share(value)]);
      put(ways[i][0], "d", line(way));
      put(ways[i][1], "d", marks(way.filter((_, k) => k % 5 === 4), i));
      put(found[i][0], "d", line(cmc));
      put(found[i][1], "d", marks(cmc.filter((_, k) => k % 5 === 0), i));
    });
    if (frame) {
      const places = unpack(frame.points);
      spots.forEach((spot, i) => put(spot, "d", people.map((person, k) => (person === persons[i]
        ? `M${side(places[2 * k]).toFixed(1)} ${(326 - side(places[2 * k + 1]) + 6).toFixed(1)}${GLYPHS[i % GLYPHS.length](5)}` : "")).join("")));
    }
    put(now, "transform", `translate(${when(frame?.step ?? 0).toFixed(1)} 0)`);
    valued(now, frame?.step ?? 0, frame ? `step ${frame.step} of ${run.steps}` : "not begun", 0, steps);
    const key = JSON.stringify([state.run, state.pins, listed()]);
    if (key !== listed_) {
      listed_ = key;
      const focus = table.contains(document.activeElement) && document.activeElement.title;
      table.replaceChildren(...[...listed()].reverse().map(row));
      if (focus) [...table.querySelectorAll("button")].find(({ title }) => title === focus)?.focus();
    }
    tell(run, frame);
  };
  const stream = () => panel.state.run < 0 && panel.draw(panel.state);
  const grown = () => {
    runs = model.get("data").runs;
    const end = runs.findLastIndex((run) => same(run.settings, effective(panel.state)));
    again = false;
    if (panel.state.run < 0 && end >= 0) panel.set({ run: end, moment: last(runs[end]) });
    else panel.draw(panel.state);
  };
  model.on("change:course", stream);
  model.on("change:data", grown);
  panel.show(panel.state);
  return () => { halt(); model.off("change:course", stream); model.off("change:data", grown); panel.close(); };
}

export default { render };
