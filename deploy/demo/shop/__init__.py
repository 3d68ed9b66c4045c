"""The shop's services: small real processes that take requests, depend on each other and can be broken."""
