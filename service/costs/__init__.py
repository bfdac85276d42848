"""What running the service on AWS costs, and how far it carries.

Counted, not guessed: `units.json` says what each call takes of DynamoDB and S3, measured by
`tests/load/units.py` around the service's real requests. `prices.json` has AWS's list prices.
"""
