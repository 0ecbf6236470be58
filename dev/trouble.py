"""What goes wrong in one sentence."""


class Trouble(Exception):
    """Something the person at the keyboard can mend. The message is one sentence that says what, and how."""
