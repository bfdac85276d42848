"""The use cases: async functions on ports. No HTTP, no AWS, no JSON."""
