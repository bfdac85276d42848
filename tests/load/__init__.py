"""How fast the service is, beside its peers and the limit; and what its speed depends on."""
