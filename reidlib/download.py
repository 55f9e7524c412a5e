"""A download that ends, whatever the server does."""

import contextlib
import queue
import threading
import time
import urllib.request
from collections.abc import Iterator

from tqdm.auto import tqdm

SLOWEST = 10_000  # bytes a second; a download that is slower on average is given up


def received(url: str, name: str, timeout: float) -> Iterator[bytes]:
    """Yield what a server sends, part by part; `name` is shown beside the progress.

    `timeout` is in seconds: that long nothing may arrive, and after it a download must be faster
    than SLOWEST. Raises OSError or http.client.HTTPException when it fails or takes too long.
    """
    began, received, total = time.monotonic(), 0, None
    parts, given_up = queue.Queue(maxsize=16), threading.Event()
    arguments = (url, timeout, parts, given_up)
    threading.Thread(target=_receive, args=arguments, daemon=True).start()
    try:
        # Shown after a moment only: a failure at once has its message alone on a line.
        with tqdm(unit="B", unit_scale=True, desc=name, leave=False, delay=0.5) as bar:
            while True:
                seconds = time.monotonic() - began
                allowed = max(timeout, received / SLOWEST) + 0.1 - seconds
                try:
                    part = parts.get(timeout=max(allowed, 0))
                except queue.Empty:
                    raise TimeoutError(f"only {received} bytes came in {seconds:.0f} s") from None
                if part is None:
                    break
                if isinstance(part, BaseException):
                    raise part
                if isinstance(part, int):
                    bar.total = total = part
                    continue
                received += len(part)
                bar.update(len(part))
                yield part
        if received < (total or 1):  # a cut connection is no error to urllib
            raise ConnectionError(f"the connection was cut after {received} of {total} bytes")
    finally:
        given_up.set()


def _receive(url: str, timeout: float, parts: queue.Queue, given_up: threading.Event) -> None:
    """Put into a queue: the length if the server says it, the content, None or what went wrong.

    In a thread of its own, since the time-out of a socket begins anew with every byte: a server
    that drips its headers, or the lines between two chunks, would be waited for without end.
    """

    def hand_on(part) -> bool:
        while not given_up.is_set():
            with contextlib.suppress(queue.Full):
                parts.put(part, timeout=0.1)
                return True
        return False

    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            going = reply.length is None or hand_on(reply.length)
            while going:
                # read1 returns what has arrived; read would wait for a whole chunk, however slow.
                chunk = reply.read1(1 << 16)
                going = hand_on(chunk or None) and bool(chunk)
    except Exception as error:  # raised where it is waited for
        hand_on(error)
