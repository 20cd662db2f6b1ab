"""Ctrl-C works in what the tests start, even where the tests themselves run in the background."""

import signal

# A shell that runs a script in the background has it ignore SIGINT; children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
