// The camera planner: what one camera resolves, from where to where; camera and person by hand.
// Data: levels {name: pixels per metre}, sensor (width in millimetres), person (height in metres).
// The geometry is that of cameras.py: distances along the ground in metres, angles in degrees.

const FAR = 50, TALL = 11.5, METRE = 13.6; // the ground shown, and pixels a metre
const X0 = 46, GROUND = 24 + TALL * METRE; // the picture from the side: its left, and the ground
const CURVE = { left: 58, right: 400, top: 30, bottom: 226 };
const ARM = 5; // metres from the camera to the grip of its axis
const COLOURS = ["var(--faint)", "var(--right)", "var(--third)", "var(--fifth)", "var(--wrong)"];

const tangent = (degrees) => Math.tan(degrees * Math.PI / 180);

/** Return all that follows from the settings of a camera. */
function camera({ width, focal, height, tilt }, { sensor, levels }) {
  const pixels = focal / sensor * width; // the focal length
  const rows = width * 9 / 16;
  const half = Math.atan(rows / 2 / pixels) * 180 / Math.PI; // of the angle that is seen
  const [cos, sin] = [Math.cos(tilt * Math.PI / 180), Math.sin(tilt * Math.PI / 180)];
  const near = tilt + half >= 90 ? 0 : height / tangent(tilt + half);
  const far = tilt - half <= 0 ? Infinity : height / tangent(tilt - half);
  const depth = (distance, above = 0) => distance * cos + (height - above) * sin;
  /** Where a point stands below the middle of the picture, in pixels. */
  const row = (distance, above) =>
    pixels * ((height - above) * cos - distance * sin) / depth(distance, above);
  const resolves = (distance) => pixels / depth(distance);
  const sees = (distance) => distance >= near && distance <= far;
  const upto = (need) => (pixels / need - height * sin) / cos; // as far as it resolves so much
  const level = (value) => Object.keys(levels).filter((name) => value >= levels[name]).pop() ?? "none";
  return { pixels, rows, half, near, far, row, resolves, sees, upto, level };
}

function render({ model, el }) {
  const panel = new Panel(model, el, "Camera planner",
    "Drag the camera up and down, the square on its axis to tilt it, and the person along the ground; "
    + "with the keyboard, Tab gets to each, and the arrow keys move it (with Shift ten times as far).");
  const { levels, person } = panel.data, names = Object.keys(levels);
  const limit = { height: [1.5, 10, 0.1], tilt: [0, 60, 1], distance: [1, 50, 0.5], focal: [2.8, 25, 0.2] };
  /** Put a setting to the nearest of its steps within its range. */
  const place = (name, value) => {
    const [low, high, step] = limit[name];
    panel.set({ [name]: +clamp(Math.round(value / step) * step, low, high).toFixed(3) });
  };
  const slide = (name, label, unit, title) => {
    const [min, max, step] = limit[name];
    panel.slider(name, { label, unit, title, min, max, step, format: (value) => number(value, step < 1 ? 1 : 0) });
  };
  panel.choice("width", { label: "width, pixels", title: "columns of the picture, in pixels; it is 16 to 9",
    options: [640, 1280, 1920, 2560, 3840].map((width) => [width, width]) });
  slide("focal", "focal length", "mm", `of a lens before a sensor ${panel.data.sensor} mm wide`);
  slide("height", "height", "m", "of the camera above the ground");
  slide("tilt", "tilt", "°", "of the camera, down from level");
  slide("distance", "distance", "m", "of the person, along the ground");

  const x = (metres) => X0 + metres * METRE, y = (metres) => GROUND - metres * METRE;
  const tens = [0, 10, 20, 30, 40, 50].map((metres) => [metres, String(metres)]);
  const right = x(FAR);
  const side = panel.chart(right + 20, GROUND + 80, "From the side: camera, what it sees, and a person",
    axes({ left: X0, right, top: 24, bottom: GROUND + 38, x, y, ticksX: tens, nameX: "distance, m",
      ticksY: [0, 2, 4, 6, 8, 10].map((metres) => [metres, String(metres)]), nameY: "height, m",
      title: `From the side: camera, field of view, a person of ${person} m` }));
  const cut = svg("clipPath", { id: `side-${crypto.getRandomValues(new Uint32Array(1))[0]}` },
    svg("rect", { x: X0, y: 24, width: right - X0, height: GROUND - 24 }));
  const cone = svg("path", { fill: "var(--right)", "fill-opacity": 0.14, stroke: "var(--right)", "clip-path": `url(#${cut.id})` });
  const ground = names.map((name, i) => svg("g", {}, svg("rect", { y: GROUND + 1, height: 5 + 4 * i, fill: COLOURS[i] }),
    svg("text", { y: GROUND + 35, "text-anchor": "middle" }, name)));
  const axis = svg("path", { stroke: "var(--ink)", "stroke-dasharray": "5 4" });
  const pole = svg("path", { stroke: "var(--ink)", "stroke-width": 4 });
  const eye = svg("g", {}, svg("circle", { r: 15, fill: "transparent" }),
    svg("path", { d: "M-9-7H6L12-3V3L6 7H-9Z", fill: "var(--fourth)", stroke: "var(--ink)" }));
  const aim = svg("g", {}, svg("circle", { r: 15, fill: "transparent" }),
    svg("rect", { x: -6, y: -6, width: 12, height: 12, fill: "var(--fourth)", stroke: "var(--ink)" }));
  const man = svg("g", {}, svg("rect", { x: -13, y: y(person) - 6, width: 26, height: person * METRE + 10, fill: "transparent" }),
    svg("path", { d: `M0 ${GROUND}V${y(person - 0.3)}`, stroke: "var(--ink)", "stroke-width": 6, "stroke-linecap": "round" }),
    svg("circle", { cy: y(person - 0.12), r: 4.5, fill: "var(--fourth)", stroke: "var(--ink)" }));
  side.append(svg("defs", {}, cut), cone, ...ground, axis, pole, man, eye, aim);
  panel.grip(eye, "camera height", { move: (_, py) => place("height", (GROUND - py) / METRE),
    step: (dx, dy) => place("height", panel.state.height + 0.1 * (dx || dy)) });
  panel.grip(aim, "camera tilt", {
    move: (px, py) => place("tilt", Math.atan2(y(panel.state.height) * -1 + py, Math.max(1, px - X0)) * 180 / Math.PI),
    step: (dx, dy) => place("tilt", panel.state.tilt + (dx || -dy)) });
  panel.grip(man, "distance of the person", { move: (px) => place("distance", (px - X0) / METRE),
    step: (dx, dy) => place("distance", panel.state.distance + 0.5 * (dx || dy)) });

  const along = (metres) => CURVE.left + metres / FAR * (CURVE.right - CURVE.left);
  const [least, most] = [Math.log(10), Math.log(1500)];
  const up = (value) => CURVE.bottom - (Math.log(clamp(value, 10, 1500)) - least) / (most - least) * (CURVE.bottom - CURVE.top);
  const curve = panel.chart(430, 270, "Pixels per metre against distance, with the levels of IEC 62676-4",
    axes({ ...CURVE, x: along, y: up, ticksX: tens, nameX: "distance, m", nameY: "",
      ticksY: names.map((name) => [levels[name], String(levels[name])]), title: "Pixels per metre, and the levels it reaches" }));
  const line = svg("path", { fill: "none", stroke: "var(--right)", "stroke-width": 2.5 });
  const dot = svg("circle", { r: 6, fill: "var(--fourth)", stroke: "var(--ink)" });
  const halo = "paint-order: stroke; stroke: var(--paper); stroke-width: 5px"; // the curve may pass behind
  curve.append(line, ...names.map((name) => svg("text", { x: CURVE.right, y: up(levels[name]) - 3, "text-anchor": "end", style: halo }, name)), dot);

  // What the camera sees: the picture's middle is 0, 0, and it is 320 wide.
  const view = panel.chart(340, 220, "What the camera sees", svg("text", { x: 10, y: 20, "font-weight": "bold" }, "What the camera sees"));
  const sky = svg("rect", { x: -160, y: -90, width: 320, height: 180, fill: "none", stroke: "var(--ink)" });
  const marks = [2, 5, 10, 20, 40].map(() => svg("g", {}, svg("path", { class: "grid", d: "M-160 0H160" }), svg("text", { x: -155, y: -3 })));
  const figure = svg("g", {}, svg("rect", { fill: "var(--right)" }), svg("circle", { fill: "var(--fourth)" }));
  const frame = svg("g", { transform: "translate(170 118)", "aria-hidden": "true" }, sky, ...marks, figure);
  view.append(frame);

  panel.draw = (state) => {
    const { height, tilt, distance, width } = state, c = camera(state, panel.data);
    const reached = (metres) => x(clamp(metres, 0, FAR));
    const edge = (angle) => [x(FAR + 5), y(height - (FAR + 5) * tangent(angle))];
    const [low, high] = [edge(Math.min(tilt + c.half, 89)), edge(tilt - c.half)];
    put(cone, "d", `M${x(0)} ${y(height)}L${low}L${high}Z`);
    ground.forEach((group, i) => { // from where the next level ends to where this one does
      const to = Math.min(c.upto(levels[names[i]]), c.far), next = names[i + 1];
      const from = Math.max(c.near, next ? c.upto(levels[next]) : 0);
      const start = reached(from), long = Math.max(0, reached(to) - start);
      put(group.firstChild, "x", start.toFixed(1));
      put(group.firstChild, "width", long.toFixed(1));
      put(group.lastChild, "x", (start + long / 2).toFixed(1));
      put(group.lastChild, "visibility", long > 66 ? "visible" : "hidden"); // else they would overlap
    });
    const [ax, ay] = [x(ARM * Math.cos(tilt * Math.PI / 180)), y(height - ARM * Math.sin(tilt * Math.PI / 180))];
    put(axis, "d", `M${x(0)} ${y(height)}L${ax} ${ay}`);
    put(pole, "d", `M${x(0)} ${GROUND}V${y(height)}`);
    put(eye, "transform", `translate(${x(0)} ${y(height)}) rotate(${tilt})`);
    put(aim, "transform", `translate(${ax.toFixed(1)} ${ay.toFixed(1)})`);
    put(man, "transform", `translate(${x(distance).toFixed(1)} 0)`);
    valued(eye, height, `${height} m up`, ...limit.height);
    valued(aim, tilt, `${tilt}° down`, ...limit.tilt);
    valued(man, distance, `${distance} m away`, ...limit.distance);
    let path = "";
    for (let metres = Math.max(c.near, 0.05); metres <= Math.min(c.far, FAR); metres += 0.25) {
      path += `${path ? "L" : "M"}${along(metres).toFixed(1)} ${up(c.resolves(metres)).toFixed(1)}`;
    }
    put(line, "d", path);
    const here = c.resolves(distance), seen = c.sees(distance), [feet, head] = [c.row(distance, 0), c.row(distance, person)];
    put(dot, "cx", along(distance).toFixed(1));
    put(dot, "cy", up(here).toFixed(1));
    put(dot, "visibility", seen ? "visible" : "hidden");
    const small = 320 / width; // from the camera's pixels to those of this picture
    marks.forEach((mark, i) => {
      const metres = [2, 5, 10, 20, 40][i], at_ = c.row(metres, 0) * small;
      put(mark, "transform", `translate(0 ${at_.toFixed(1)})`);
      put(mark, "visibility", Math.abs(at_) < 90 ? "visible" : "hidden");
      write(mark.lastChild, `${metres} m`);
    });
    const [top, bottom] = [clamp(head * small, -90, 90), clamp(feet * small, -90, 90)];
    const broad = Math.max(1.5, 0.45 * here * small), [body, face] = figure.children;
    for (const [key, value] of [["x", -broad / 2], ["y", top], ["width", broad], ["height", bottom - top]]) {
      put(body, key, Math.max(key === "x" || key === "y" ? -999 : 0, value).toFixed(1));
    }
    put(face, "cy", (head + 0.07 * (feet - head)) * small);
    put(face, "r", Math.max(0, 0.065 * (feet - head) * small).toFixed(1));
    put(face, "visibility", Math.abs(head * small) < 90 ? "visible" : "hidden");
    if (!seen) return panel.say(`At ${distance} m the feet are outside the picture.`);
    const ends = Math.min(c.upto(levels.recognise), c.far);
    const upto = ends > c.near ? `is reached from ${c.near.toFixed(1)} to ${ends.toFixed(1)} m` : "is reached nowhere";
    panel.say(`At ${distance} m: ${here.toFixed(0)} pixels per metre (${c.level(here)}), a person is `
      + `${(feet - head).toFixed(0)} pixels tall. The level recognise ${upto}.`);
  };
  panel.show(panel.state);
  return () => panel.close();
}

export default { render };
