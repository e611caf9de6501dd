"""Where moto is connected to the local cloud: to its clock, functions, mailbox and faults.

moto is not wrong about any of this; it cannot know what it runs in.
"""
