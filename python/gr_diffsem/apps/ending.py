# SPDX-License-Identifier: GPL-3.0-or-later
"""How every command ends before it is done: one rule, so that a script can tell what happened, and nothing hangs.

    SIGINT (Ctrl-C)                                     130
    SIGTERM                                             143
    nobody reads standard output or error any more      141, as a program that SIGPIPE ends
    what it writes cannot be written (a full disk)        1, with a sentence

Each of them reaches the main thread as `Interrupted`, a KeyboardInterrupt: a command cleans up where it catches that,
and returns what it has so far. One that does not end within `patience` seconds, because it waits inside C++ or because
a flowgraph does not stop, is ended by a thread of its own; so is one that is asked a second time.
"""

import contextlib
import errno
import os
import select
import signal
import stat
import sys
import threading
import time

PATIENCE = 5.0  #: seconds that a command has to clean up
CLOSED = 141
FAILED = 1
#: Errors of writing that are no fault of the words on the command line.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_current = None


class Interrupted(KeyboardInterrupt):
    """The command is to end; ending.asked() says how."""


class Ending:
    """code: the exit code that was asked for, 0 while none was. text: the sentence of a failure."""

    def __init__(self):
        self.code, self.text, self.patience = 0, "", PATIENCE
        self._lock = threading.RLock()  # a handler may run while its thread holds it
        self._armed = self._raised = self._woken = False
        self._until = None
        self._wake, self._write = os.pipe()
        for end in (self._wake, self._write):
            os.set_blocking(end, False)
        self._outputs = list(_pipes())
        self._old = [signal.signal(s, self._handle) for s in _SIGNALS]
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._open = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def ask(self, code, text=""):
        """End the command, from any thread; the first reason counts."""
        if self._reason(code, text):
            self._woken = True
            signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    def _reason(self, code, text=""):
        with self._lock:
            if self.code:
                return False
            self.code, self.text = code, text
            return True

    def _handle(self, number, _frame):
        """In the main thread."""
        self._reason(128 + number)
        self._raise()

    def arm(self, armed=True):
        """From now on (or no longer) Interrupted may reach the main thread: only where something catches it. What was
        asked before does so now."""
        self._armed = armed
        if self.code:
            self._raise()

    def _raise(self):
        if self._armed and not self._raised:
            self._raised = True
            raise Interrupted

    def _watch(self):
        """Sees signals while the main thread is inside C++, sees readers go, and ends what does not end."""
        poll, told = select.poll(), 0
        poll.register(self._wake, select.POLLIN)
        for fd in self._outputs:
            poll.register(fd, 0)  # only that the other end is gone
        while self._open:
            for fd, _ in poll.poll(200):
                if fd != self._wake:
                    poll.unregister(fd)
                    self.ask(CLOSED)
                    continue
                with contextlib.suppress(BlockingIOError):
                    for number in os.read(self._wake, 64):
                        if number in _SIGNALS:
                            told += not self._woken
                            self._woken = False
                            self._reason(128 + number)
            if self.code and self._until is None:
                self._until = time.monotonic()
            if told > 1 or (self._until is not None and time.monotonic() - self._until > self.patience):
                leave(self.code)

    def close(self):
        """Everything as it was."""
        self._open = False
        signal.set_wakeup_fd(self._old_fd)
        for number, old in zip(_SIGNALS, self._old, strict=True):
            signal.signal(number, old)
        with contextlib.suppress(OSError):
            os.write(self._write, b"\0")
        self._thread.join()
        for fd in (self._wake, self._write, *self._outputs):
            os.close(fd)


class _Elsewhere:
    """In place of an Ending where there can be none: signals reach the main thread of a program only."""

    code, text, patience = 0, "", PATIENCE

    def ask(self, code, text=""):
        self.code = self.code or code

    def arm(self, armed=True):
        pass

    def close(self):
        pass


def _pipes():
    """Copies of standard output and error where another process reads them (a command may turn them over)."""
    for fd in (1, 2):
        with contextlib.suppress(OSError):
            mode = os.fstat(fd).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                yield os.dup(fd)


@contextlib.contextmanager
def watched():
    """An Ending for as long as a command runs. Commands that are called by others share theirs."""
    global _current
    if _current is not None:
        yield _current
        return
    _current = Ending() if threading.current_thread() is threading.main_thread() else _Elsewhere()
    try:
        yield _current
    finally:
        _current.close()
        _current = None


def asked():
    """The exit code that was asked for, 0 while the command goes on."""
    return _current.code if _current else 0


def ask(code, text=""):
    """End the command that runs, from any thread."""
    if _current:
        _current.ask(code, text)


def grant(seconds):
    """The command that runs may take so long to end."""
    if _current:
        _current.patience = seconds


def tell(text, end="\n", file=None):
    """print() for any thread: where nobody can read it, the command ends."""
    try:
        print(text, end=end, file=file or sys.stdout, flush=True)
    except BrokenPipeError:
        ask(CLOSED)
    except OSError as error:
        ask(FAILED, f"{'standard error' if file is sys.stderr else 'standard output'}: {error.strerror}")


def hush():
    """What Python still holds for a pipe without a reader, or for a full disk, must not trouble its end."""
    for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, fd)
                os.close(null)


def leave(code):
    """End this process now, with its worker processes, whatever its threads do."""
    workers = sys.modules.get("multiprocessing")
    with contextlib.suppress(Exception):
        for child in workers.active_children() if workers else ():
            child.terminate()
    with contextlib.suppress(Exception):
        hush()
    os._exit(code)


def _hold():
    """Signals wait while a worker process is made: until it lays down what it inherits they would count twice."""
    if _current is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _go_on():
    if _current is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _forked():
    """A worker process is its parent's to end."""
    global _current
    if _current is not None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _go_on()
        _current = None


os.register_at_fork(before=_hold, after_in_parent=_go_on, after_in_child=_forked)
