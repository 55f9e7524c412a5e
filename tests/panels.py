"""Moving every control of a panel through its values, as a person with patience would."""

import numpy as np


def values_of(control) -> list:
    """Return values to try: all options of a choice, or three over the range of a slider."""
    if hasattr(control, "options"):
        return [o[1] if isinstance(o, tuple) else o for o in control.options]
    if hasattr(control, "min") and not isinstance(control.value, tuple):
        kind = type(control.value)
        return [kind(v) for v in np.linspace(control.min, control.max, 3)]
    if isinstance(control.value, bool):
        return [True, False]
    return [control.value]


def sweep(panel) -> int:
    """Try every value of every control, the others at rest; raise the first error of a callback."""
    moves = 0
    for control in panel.controls.values():
        rest = control.value
        for value in [*values_of(control), rest]:
            control.value = value
            assert "panel-error" not in panel.message.value, panel.message.value
            assert bytes(panel.image.value[:4]) == b"\x89PNG"
            moves += 1
    return moves
