"""Makers and fakes that several suites use."""
