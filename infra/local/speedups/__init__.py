"""Where moto does needless work: the same answers in less time.

Without these files every answer stays the same; tests/emulator compares them with moto's own.
"""
