"""The launcher behind ``make run`` and the embedded PostgreSQL it and the tests use.

Context: one command must bring up a database, a simulated WeChat, the API and the worker, and leave nothing behind.
Decision: every process has a small keeper (``keeper.py``) on a pipe: however its owner ends, the pipe closes and the
keeper stops its own child. Ownership is a file lock, so no process is ever found, or signalled, by a number in a file
unless it was first seen to be a Postgres on our own data folder.
Consequence: one idle Python process more per part; nothing to clean up after a SIGKILL.
Alternative: pid files and ``pg_ctl stop``, which believe stale numbers; or a process group, which dies with no one.
"""
