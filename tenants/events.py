"""What the provider's activity tells of its tenants. `tenant_id` is the registry's and never used again."""

from __future__ import annotations

from datetime import date

from core.activity.events import Event


class TenantCreated(Event, subject="tenant", text="Tenant {slug} created"):
    tenant_id: int
    slug: str


class TenantSuspended(Event, subject="tenant", text="Tenant {slug} suspended"):
    tenant_id: int
    slug: str


class TenantResumed(Event, subject="tenant", text="Tenant {slug} resumed"):
    tenant_id: int
    slug: str


class TenantRenamed(Event, subject="tenant", text="Tenant {slug} renamed"):
    tenant_id: int
    slug: str


class TenantPluginEnabled(Event, subject="tenant", text="Plugin {plugin} switched on for {slug}"):
    tenant_id: int
    slug: str
    plugin: str


class TenantPluginDisabled(Event, subject="tenant", text="Plugin {plugin} switched off for {slug}"):
    tenant_id: int
    slug: str
    plugin: str


class TenantBackupAsked(Event, subject="tenant", text="A backup of {slug} asked for"):
    tenant_id: int
    slug: str
    job_id: int


class TenantUpgradeAsked(Event, subject="tenant", text="An upgrade of {slug} asked for"):
    tenant_id: int
    slug: str
    job_id: int


class TenantMoveAsked(Event, subject="tenant", text="Moving {slug} to {placement} asked for"):
    tenant_id: int
    slug: str
    job_id: int
    placement: str


class TenantRestoreAsked(Event, subject="tenant", text="Restoring {slug} from {file} asked for"):
    tenant_id: int
    slug: str
    job_id: int
    file: str


class TenantArchivingAsked(Event, subject="tenant", text="Archiving {slug} asked for"):
    tenant_id: int
    slug: str
    job_id: int


class TenantDeletionAsked(Event, subject="tenant", text="The deletion of {slug} asked for"):
    tenant_id: int
    slug: str
    job_id: int


class TenantClockAsked(Event, subject="tenant", text="A copy of {slug} to try out time asked for: {copy}"):
    tenant_id: int
    slug: str
    job_id: int
    copy: str


class TenantForwardAsked(Event, subject="tenant", text="Time of {slug} to run forward to {until} asked for"):
    tenant_id: int
    slug: str
    job_id: int
    until: date


class BackupCopyAsked(Event, subject="job", text="A copy of {file} as {slug} asked for"):
    job_id: int
    slug: str
    file: str


class BackupReturnAsked(Event, subject="job", text="Bringing {slug} back from {file} asked for"):
    job_id: int
    slug: str
    file: str


class AllUpgradesAsked(Event, subject="job", text="An upgrade of all tenants asked for"):
    job_id: int


class AllBackupsAsked(Event, subject="job", text="A backup of all tenants asked for"):
    job_id: int


class TenantBackedUp(Event, subject="tenant", text="Tenant {slug} backed up: {file}"):
    tenant_id: int
    slug: str
    file: str
    size: int


class BackupDownloaded(Event, subject="tenant", text="Backup {file} downloaded"):
    """`tenant_id` is None where the tenant of the backup is gone."""

    file: str
    tenant_id: int | None = None


class TenantUpgraded(Event, subject="tenant", text="Tenant {slug} upgraded by {migrations} migrations"):
    tenant_id: int
    slug: str
    migrations: int


class TenantUpgradeFailed(Event, subject="tenant", text="The upgrade of {slug} failed"):
    tenant_id: int
    slug: str


class TenantRestored(Event, subject="tenant", text="Tenant {slug} restored from {file}"):
    tenant_id: int
    slug: str
    file: str


class TenantMoved(Event, subject="tenant", text="Tenant {slug} moved from {came_from} to {went_to}"):
    tenant_id: int
    slug: str
    came_from: str
    went_to: str


class TenantArchived(Event, subject="tenant", text="Tenant {slug} archived: {file}"):
    tenant_id: int
    slug: str
    file: str


class TenantDeleted(Event, subject="tenant", text="Tenant {slug} deleted; its last backup: {file}"):
    tenant_id: int
    slug: str
    file: str
