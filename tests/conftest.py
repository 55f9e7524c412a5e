"""What holds for all tests."""

import signal


def pytest_configure():
    # A shell lets what it starts in the background ignore Ctrl-C, which some tests press.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
