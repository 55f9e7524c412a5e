// Runs the panels of the lessons in the book, where no kernel is: each finds its module and its
// data beside the page (conf.py), and a stand-in for the kernel's model (https://anywidget.dev).

class Model {
  constructor(values) {
    this.values = values;
    this.listeners = new Map();
  }
  get(name) {
    return this.values[name];
  }
  set(name, value) {
    this.values[name] = value;
  }
  on(event, listener) {
    this.listeners.set(listener, event);
  }
  off(event, listener) {
    this.listeners.delete(listener);
  }
  save_changes() {} // nobody listens: what the hand moved is on the screen already
  send() {}
}

async function start(place) {
  const { module, data } = place.dataset;
  const note = [...place.childNodes];
  try {
    const address = new URL(data, document.baseURI);
    const [{ default: panel }, answer] = await Promise.all([
      import(new URL(module, document.baseURI)), fetch(address)]);
    if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
    panel.render({ model: new Model({ ...await answer.json(), address: address.href }), el: place });
  } catch (error) {
    console.warn(`This panel stays a note: ${error}`);
    place.replaceChildren(...note);
  }
}

// A panel's data are fetched when the reader comes near, so that a page opens at once.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    start(target);
  }
}, { rootMargin: "1000px" });
document.querySelectorAll("div.panel[data-module]").forEach((place) => near.observe(place));
