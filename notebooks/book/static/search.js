// Searches with a picture of the visitor's own, in the page: the bundled network runs here, and the
// picture never leaves the machine. What runs it comes from the book itself (conf.py), when asked for.

const WIDTH = 64, HEIGHT = 128; // of what the network takes
let loading = null; // the network, once anybody asks

/** Return the network as a function from RGB bytes of 64 x 128 to a vector of unit length. */
export function network(files) {
  loading ??= begin(files).catch((error) => {
    loading = null; // the next picture tries again
    throw error;
  });
  return loading;
}

async function begin(files) {
  const ort = await import(new URL("runtime.js", files));
  ort.env.wasm.numThreads = 1; // more take headers that a plain file server does not send
  ort.env.wasm.wasmPaths = { wasm: new URL("runtime.wasm", files).href };
  const answer = await fetch(new URL("network.onnx", files));
  if (!answer.ok) throw new Error(`${answer.url} answered ${answer.status}`);
  const session = await ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()));
  return async (bytes) => {
    const input = new ort.Tensor("uint8", bytes, [1, HEIGHT, WIDTH, 3]);
    const found = await session.run({ [session.inputNames[0]]: input });
    const vector = found[session.outputNames[0]].data;
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  };
}

/** Return what a pixel of the target is made of, for each: first source pixel and weights. */
function taps(from, to, areas) {
  const scale = from / to;
  return Array.from({ length: to }, (_, index) => {
    if (areas) { // each source pixel by how much of it is covered
      const begin = index * scale, end = begin + scale, first = Math.floor(begin + 1e-9);
      const covered = [];
      for (let i = first; i < Math.min(from, end - 1e-9); i++) {
        covered.push((Math.min(end, i + 1) - Math.max(begin, i)) / scale);
      }
      return { first, weights: covered };
    }
    const middle = Math.max(0, (index + 0.5) * scale - 0.5), first = Math.floor(middle);
    return first + 1 < from ? { first, weights: [1 - middle + first, middle - first] } : { first: from - 1, weights: [1] };
  });
}

/** Return RGBA pixels as RGB bytes of 64 x 128, as `transforms.resize` makes them, to a grey level. */
export function resized({ width, height, data }) {
  const areas = WIDTH * HEIGHT < 0.25 * width * height; // else bilinear, as there
  const across = taps(width, WIDTH, areas), down = taps(height, HEIGHT, areas);
  const rows = new Float32Array(height * WIDTH * 3), result = new Uint8Array(HEIGHT * WIDTH * 3);
  for (let y = 0; y < height; y++) for (let x = 0; x < WIDTH; x++) for (let channel = 0; channel < 3; channel++) {
    const { first, weights } = across[x];
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * data[(y * width + first + i) * 4 + channel];
    rows[(y * WIDTH + x) * 3 + channel] = sum;
  }
  for (let y = 0; y < HEIGHT; y++) for (let x = 0; x < WIDTH * 3; x++) {
    const { first, weights } = down[y];
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * rows[(first + i) * WIDTH * 3 + x];
    result[y * WIDTH * 3 + x] = Math.round(sum);
  }
  return result;
}

/** Return a picture of a file as a canvas, upright, with its colours as they are stored. */
export async function decoded(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas;
}

/** Return an <img>'s address for what the network is given. */
function address(bytes) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const image = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < WIDTH * HEIGHT; i++) image.data.set([...bytes.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

/** Return a part of a panel that asks for a picture; `found` gets its vector and an address to show. */
export function asking({ html, files, megabytes, found }) {
  const status = html("p", { class: "help", role: "status" },
    `It stays on this machine. The first one loads ${megabytes} MB of this book: the network, and what runs it.`);
  const say = (text) => { status.textContent = text; };
  const chooser = html("input", { type: "file", accept: "image/*", title: "a picture of a person, from your machine",
    change: () => chooser.files[0] && take(chooser.files[0]) });
  const view = html("canvas", { tabindex: 0, role: "img", hidden: "", title: "drag a frame around one person; arrow keys move it, with Shift they change its size" });
  const part = html("div", { class: "own",
    dragover: (event) => event.preventDefault(),
    drop: (event) => { event.preventDefault(); offered(event.dataTransfer); } },
  html("style", {}, `.reid .own { border: 1px dashed var(--ink); border-radius: 6px; padding: 6px 10px; margin: 6px 0; }
    .reid .own label { flex-wrap: wrap; } .reid .own input { max-width: 100%; }
    .reid .own ::file-selector-button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--ink); border-radius: 4px; padding: 2px 8px; }
    .reid .own canvas { max-height: 260px; max-width: 100%; margin-top: 6px; touch-action: none; } .reid .own [hidden] { display: none; }`),
  html("label", {}, "Search with a picture of your own: choose, drop or paste one ", chooser), view, status);

  let picture = null, frame = null, waiting = 0;
  const offered = (transfer) => {
    const file = [...transfer?.files ?? []].find(({ type }) => type.startsWith("image/"));
    if (file) take(file);
    return Boolean(file);
  };
  const paste = (event) => { if (part.isConnected && offered(event.clipboardData)) event.preventDefault(); };
  document.addEventListener("paste", paste);

  async function take(file) {
    try {
      picture = await decoded(file);
    } catch {
      say(`${file.name || "What was given"} is no picture that this browser reads: take a JPEG or a PNG.`);
      return;
    }
    const { width, height } = picture;
    const slim = Math.min(width, Math.ceil(height / 2)); // a whole scene: begin with a person's shape
    frame = width > 0.75 * height ? { x: (width - slim) >> 1, y: 0, width: slim, height } : { x: 0, y: 0, width, height };
    view.hidden = false;
    await search();
  }

  function draw() {
    const scale = Math.min(1, 520 / Math.max(picture.width, picture.height));
    view.width = Math.max(1, Math.round(picture.width * scale));
    view.height = Math.max(1, Math.round(picture.height * scale));
    const pen = view.getContext("2d"), corners = [frame.x, frame.y, frame.width, frame.height].map((value) => value * scale);
    pen.drawImage(picture, 0, 0, view.width, view.height);
    pen.fillStyle = "rgb(0 0 0 / .55)";
    pen.beginPath();
    pen.rect(0, 0, view.width, view.height);
    pen.rect(...corners);
    pen.fill("evenodd");
    pen.lineWidth = 2;
    pen.strokeStyle = "#fff";
    pen.strokeRect(...corners);
    view.setAttribute("aria-label", `Your picture, ${picture.width} x ${picture.height} pixels; searched is the frame of `
      + `${frame.width} x ${frame.height} at ${frame.x}, ${frame.y}.`);
  }

  /** Search with what is in the frame; where the hand was faster, only with the last. */
  async function search() {
    draw();
    const turn = ++waiting;
    say("working …");
    try {
      const run = await network(files);
      await new Promise((next) => setTimeout(next)); // what was dragged meanwhile comes first
      if (turn !== waiting) return;
      const pixels = picture.getContext("2d").getImageData(frame.x, frame.y, frame.width, frame.height);
      const bytes = resized(pixels), vector = await run(bytes);
      if (turn !== waiting) return;
      found(vector, address(bytes));
      say("Searched with what is in the frame: one person should fill it. Drag another frame, or move it with the arrow keys.");
    } catch (error) {
      say(`The network did not load: ${error.message}. Choose the picture again to try once more.`);
    }
  }

  function framed(x, y, width, height) {
    const left = Math.min(Math.max(0, Math.round(x)), picture.width - 8), top = Math.min(Math.max(0, Math.round(y)), picture.height - 8);
    const wide = Math.min(Math.max(8, Math.round(width)), picture.width - left), high = Math.min(Math.max(8, Math.round(height)), picture.height - top);
    frame = { x: left, y: top, width: wide, height: high };
    search();
  }
  let begun = null;
  const at = ({ offsetX, offsetY }) => [offsetX * picture.width / view.clientWidth, offsetY * picture.height / view.clientHeight];
  view.addEventListener("pointerdown", (event) => { view.setPointerCapture(event.pointerId); begun = at(event); });
  view.addEventListener("pointermove", (event) => {
    if (!begun || !view.hasPointerCapture(event.pointerId)) return;
    const [x, y] = at(event), [a, b] = begun;
    if (Math.abs(x - a) > 4 && Math.abs(y - b) > 4) framed(Math.min(a, x), Math.min(b, y), Math.abs(x - a), Math.abs(y - b));
  });
  view.addEventListener("pointerup", () => { begun = null; });
  view.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const far = Math.max(1, Math.round(picture.height / 50)), [dx, dy] = steps[event.key].map((step) => step * far);
    const { x, y, width, height } = frame;
    if (event.shiftKey) framed(x, y, width + dx, height + dy);
    else framed(Math.min(x + dx, picture.width - width), Math.min(y + dy, picture.height - height), width, height);
  });
  return part;
}
