"""Checks for the exercises: each prints "Correct" or "Not yet" with a hint, and never crashes."""

from __future__ import annotations

import functools
from collections.abc import Callable


def check(test: Callable[..., str | None]) -> Callable[..., bool]:
    """Turn a test that returns a hint (or None when all is well) into a check that prints.

    An answer of None counts as not begun, and an error inside the test as an answer of the wrong
    kind, so a check can be run at any time.
    """

    @functools.wraps(test)
    def run(*answers) -> bool:
        if any(answer is None for answer in answers):
            print("Not yet: replace None by your answer, then run this cell again.")
            return False
        try:
            hint = test(*answers)
        except Exception as error:
            hint = f"the answer could not be used ({type(error).__name__}: {error})."
        print(f"Not yet: {hint}" if hint else "Correct.")
        return not hint

    return run
