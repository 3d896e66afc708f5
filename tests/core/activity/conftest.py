from tests.core.log import clock, scope

__all__ = ["clock", "scope"]
