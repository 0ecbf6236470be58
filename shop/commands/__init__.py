"""What `python -m shop` can do: a module for each command, imported only when it is asked for.

Each has `run(arguments)`, and `add_arguments(parser)` where it takes any.
"""
