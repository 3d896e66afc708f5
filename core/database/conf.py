"""What Piccolo looks for when a table is used first."""

from piccolo.conf.apps import AppRegistry

from core.database.engine import TenantEngine

DB = TenantEngine()
APP_REGISTRY = AppRegistry(apps=[])
