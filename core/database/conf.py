"""What Piccolo looks for when a table is used first."""

from core.database.engine import TenantEngine

DB = TenantEngine()
