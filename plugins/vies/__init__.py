"""Asks VIES, the register of the European Commission, whether VAT ids are valid."""
