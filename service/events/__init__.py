"""Tells integrators what happened to images, at least once, whatever dies in between.

An event is written in the same transaction as the change that it tells of (the outbox), so there
is none without the other. Who delivers it takes it from there, and takes it off when it arrived.
"""
