"""nbval gives up on slow machines and waits for dead kernels; here it does neither.

It waits for a cell as long as its kernel lives, and ten minutes (not five seconds) for the outputs
of a cell that has ended.
"""

from queue import Empty

import nbval.kernel
import pytest

ASK_EVERY = 2  # seconds, whether the kernel still lives
ask_once = nbval.kernel.RunningKernel.await_reply


def await_reply(kernel, msg_id: str, timeout: float | None = None) -> None:
    """Wait for a cell without a limit. Raises RuntimeError when its kernel has died."""
    while True:
        try:
            return ask_once(kernel, msg_id, timeout=ASK_EVERY)
        except Empty:
            if not kernel.is_alive():
                raise RuntimeError("the kernel died") from None


def pytest_configure() -> None:
    nbval.kernel.RunningKernel.await_reply = await_reply


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = 600
