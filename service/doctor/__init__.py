"""What `mont doctor` looks at: the stores as the settings name them, a service as clients meet it.

Every check says what it saw and, where that is not right, what to do. Whatever a check makes it
removes again.
"""
