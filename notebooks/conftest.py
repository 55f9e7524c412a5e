"""With $REIDLIB_BUDGETS set, a notebook above its budget of time or memory fails the tests."""

import os

import run


def pytest_configure(config):
    if os.environ.get("REIDLIB_BUDGETS"):
        config.pluginmanager.register(run.Meter())
