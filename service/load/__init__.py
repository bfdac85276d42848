"""The load tester: arrivals on a schedule, the whole workflow, percentiles, budgets, a report.

Read `plan.py` (what is asked for) and `trial.py` (how it is done). Requests start when they are
due, whether or not earlier ones have been answered, and every latency counts from the moment at
which its request was due: a server that stalls cannot slow down the clients that would notice.

Only this package imports hdrhistogram and matplotlib (the extra `load`).
"""
