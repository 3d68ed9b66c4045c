"""What the loop announces, most of it after a commit. Pages and notifications listen; the loop knows none of them."""

from django.dispatch import Signal

transitioned = Signal()
"""One state change was committed. Sent with `transition`, the Transition row."""

moving = Signal()
"""A state is being changed: sent inside the transaction, before its line of history, with `row` (its state still the
one that it leaves), `to`, `now` and `reason`. For what must be committed together with it or not at all: whatever a
receiver raises undoes the change."""

edited = Signal()
"""A person changed what is watched or done. Sent with `model`, its name."""

evaluated = Signal()
"""One rule was evaluated. Sent with `rule_id` and `changed` (whether any series' phase or verdict changed)."""
