"""The frame that every panel stands in: controls above, a figure below, redrawn on each move."""

import atexit
import gc
import html
from collections.abc import Callable

import ipywidgets

from reidlib import style

atexit.register(gc.unfreeze)  # what `Panel` left out of the collector's rounds is let go at the end

# While a list, a slider or a button has the focus, JupyterLab takes keys for its own: arrows up and
# down choose another cell, "m" turns the cell into text, "d" twice deletes it. It spares elements
# with a certain attribute. Python cannot set that, so the page does, at each key pressed in an
# output that holds this element, and before JupyterLab hears of it. What is pressed with Ctrl, Alt
# or Command stays JupyterLab's, and so do Escape and Shift-Enter.
KEYS = """<style class="reidlib-keys" onload="
    window.reidlibKeys ||= (window.addEventListener('keydown', event => {
        const output = event.target.closest?.('.jp-OutputArea-output');
        if (!output?.querySelector('.reidlib-keys')) return;
        const theirs = event.ctrlKey || event.altKey || event.metaKey || event.key === 'Escape'
            || (event.shiftKey && event.key === 'Enter');
        event.target.toggleAttribute('data-lm-suppress-shortcuts', !theirs);
    }, true), true)"></style>"""


def keys() -> ipywidgets.HTML:
    """Return an invisible part of a panel, by which keys that are pressed there belong to it."""
    return ipywidgets.HTML(KEYS, layout=ipywidgets.Layout(display="none"))


class Panel(ipywidgets.VBox):
    """Controls, a line of text and a figure: ``draw(**values)`` runs when a control moves.

    `draw` takes one keyword for each control and returns a Figure, or a Figure and a sentence.
    A control is any ipywidget with a ``value``. A panel whose `draw` is slow gets `live=False`: its
    sliders then report when they are let go. An error in `draw` is shown in place of the sentence,
    and the last good figure stays.

    >>> Panel(lambda n: style.axes()[0], n=ipywidgets.IntSlider(3, 1, 9)).values()
    {'n': 3}
    """

    def __init__(self, draw: Callable, *, live: bool = True, dpi: int = 90, **controls):
        self.draw, self.dpi, self.controls = draw, dpi, controls
        self.message = ipywidgets.HTML()
        shape = ipywidgets.Layout(max_width="100%", align_self="flex-start")  # never enlarged
        self.image = ipywidgets.Image(format="png", layout=shape)
        for name, control in controls.items():
            control.description = control.description or name.replace("_", " ")
            control.style.description_width = "initial"
            control.layout.width = control.layout.width or "290px"
            if hasattr(control, "continuous_update"):
                control.continuous_update = live
            control.observe(self._moved, "value")
        box = ipywidgets.Box(
            list(controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        super().__init__([box, self.message, self.image, keys()])
        self.redraw()
        # A full round of the garbage collector would hold up a slider for half a second, so what
        # exists now is looked through now, and then left out until the next panel comes.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def values(self) -> dict:
        """Return the current value of every control."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self) -> None:
        """Draw the figure for the current values; errors of `draw` are raised."""
        drawn = self.draw(**self.values())
        figure, sentence = drawn if isinstance(drawn, tuple) else (drawn, "")
        self.image.value = style.png(figure, self.dpi)
        self.message.value = sentence

    def _moved(self, change) -> None:
        try:
            self.redraw()
        except Exception as error:  # shown to the person who moved the control, not swallowed
            self.show_error(f"{type(error).__name__}: {error}")

    def show_error(self, text: str) -> None:
        """Say in place of the sentence what went wrong; a name in it is text, never HTML."""
        self.message.value = f"<b class='panel-error'>{html.escape(text)}</b>"
