"""Set-up: brings a fresh Debian or Ubuntu with Python to where the demo and the tests run.

`bootstrap.py` starts it. Only the standard library is imported here, because nothing else is there yet.
"""
