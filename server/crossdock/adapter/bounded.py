"""A plugin's plain functions, run in a thread that is left when they take too long."""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Interrupted(BaseException):
    """Raised in a plugin's code that has kept its thread for too long."""


class _Work(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.answer: list[T] = []
        self.error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self.answer.append(self._work())
        except BaseException as error:  # told to who asked
            self.error = error


def bounded(work: Callable[[], T], seconds: float, name: str) -> T:
    """Return what `work` gives within so many seconds; blocks meanwhile.

    Raises TimeoutError, and what `work` raises. What takes longer is interrupted, and left behind.
    """
    done: _Work[T] = _Work(work)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(done,), name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        interrupt(thread.ident)
        raise TimeoutError(f"it has not ended after {seconds:g} s")
    if done.error is not None:
        raise done.error
    return done.answer[0]


def interrupt(thread: int | None) -> None:
    """Raise Interrupted in a thread; code that waits inside of C meets it when it comes back."""
    if thread is not None:
        raised = ctypes.py_object(Interrupted)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
