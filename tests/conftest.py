"""What holds for all tests."""

import signal


def pytest_runtest_setup():
    # A shell lets what it starts in the background ignore Ctrl-C, and a worker process dies of it;
    # some tests press it.
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, signal.SIG_DFL):
        signal.signal(signal.SIGINT, signal.default_int_handler)
