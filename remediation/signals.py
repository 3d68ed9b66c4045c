"""What the loop announces after a commit. Pages and notifications listen; the loop knows none of them."""

from django.dispatch import Signal

transitioned = Signal()
"""One state change was committed. Sent with `transition`, the Transition row."""

edited = Signal()
"""A person changed what is watched or done. Sent with `model`, its name."""

evaluated = Signal()
"""One rule was evaluated. Sent with `rule_id` and `changed` (whether any series' phase or verdict changed)."""
