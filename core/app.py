"""The application: the one place that names every feature's migrations, routes, jobs and hook implementations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

import core
from core.billing import api as billing_api
from core.billing import (
    draft_routes,
    dunning_api,
    dunning_routes,
    layout_api,
    layout_routes,
    parked_routes,
    proforma_routes,
    reissue_api,
    reissue_routes,
    run_api,
    run_routes,
    upcoming_routes,
    vat_api,
    vat_routes,
)
from core.billing import hookimpls as billing_hooks
from core.billing import jobs as billing_jobs
from core.billing import routes as billing_routes
from core.billing import setting_api as billing_settings_api
from core.billing import setting_routes as billing_settings
from core.billing import why_api as billing_whys_api
from core.billing import why_routes as billing_whys
from core.billing.listing import DOCUMENTS
from core.billing.run_listings import PARKED_ACCOUNTS, PREPAID_RENEWALS, RUNS
from core.catalog import api as catalog_api
from core.catalog import hookimpls as catalog_hooks
from core.catalog import policy_routes
from core.catalog import routes as catalog_routes
from core.catalog.listing import BUNDLES, PRODUCTS
from core.customers import (
    activity_api,
    activity_routes,
    anonymise_api,
    anonymise_routes,
    contact_routes,
    deletion_api,
    deletion_routes,
    email_routes,
    hierarchy_routes,
    import_api,
    import_routes,
    label_api,
    label_routes,
    lead_routes,
    note_routes,
    password_api,
    password_routes,
    people_api,
    row_routes,
    section_routes,
    status_api,
    status_routes,
    status_settings_routes,
)
from core.customers import api as customers_api
from core.customers import hookimpls as customers_hooks
from core.customers import jobs as customers_jobs
from core.customers import routes as customers_routes
from core.customers.activity_listing import ACTIVITY
from core.customers.importing.listing import IMPORTS
from core.dashboard import jobs_api, jobs_bulk, jobs_routes, search_api
from core.dashboard import routes as dashboard
from core.dashboard.jobs_listing import JOBS as WORK
from core.database.migrations import MigrationApp
from core.documents import jobs as documents_jobs
from core.hooks import Permission, usable
from core.jobs import upkeep
from core.jobs.kinds import JobKind
from core.jobs.schedules import Schedule
from core.ledger import api as ledger_api
from core.ledger import customer_rate_api, customer_rate_routes
from core.ledger import jobs as ledger_jobs
from core.ledger import routes as ledger_routes
from core.lists import api as lists_api
from core.lists import jobs as lists_jobs
from core.lists import routes as lists_routes
from core.lists.bulk_api import bulk_operations
from core.lists.bulk_pages import bulk_handlers
from core.lists.registry import STATE, lists_by_key
from core.messages import api as messages_api
from core.messages import customer_mail, staff_mail, words_api
from core.messages import hookimpls as messages_hooks
from core.messages import jobs as messages_jobs
from core.messages import routes as messages_routes
from core.messages import why_api as messages_whys_api
from core.messages import why_routes as messages_whys
from core.messages.kinds import brought_by
from core.messages.listing import MESSAGES
from core.payments import api as payments_api
from core.payments import batch as payments_batch
from core.payments import (
    credit_routes,
    deposit_api,
    deposit_routes,
    hand_api,
    hand_routes,
    online_api,
    online_routes,
    statement_api,
    statement_routes,
    unclear_routes,
)
from core.payments import hookimpls as payments_hooks
from core.payments import jobs as payments_jobs
from core.payments import routes as payments_routes
from core.payments.listing import PAYMENTS
from core.reports import api as reports_api
from core.reports import datev_routes as reports_datev
from core.reports import figures_routes as reports_figures
from core.reports import jobs as reports_jobs
from core.reports import routes as reports_routes
from core.staff import account_api, account_routes, log_in_routes, second_factors, token_routes
from core.staff import actions as staff_actions
from core.staff import api as staff_api
from core.staff import hookimpls as staff_hooks
from core.staff import jobs as staff_jobs
from core.staff import queries as staff_queries
from core.staff import routes as staff_routes
from core.staff.listing import STAFF, TOKENS
from core.subscriptions import api as subscriptions_api
from core.subscriptions import (
    change_api,
    change_routes,
    discount_api,
    discount_routes,
    pause_api,
    pause_routes,
    period_api,
    period_routes,
    prepaid_api,
    price_api,
    price_routes,
)
from core.subscriptions import hookimpls as subscriptions_hooks
from core.subscriptions import jobs as subscriptions_jobs
from core.subscriptions import routes as subscriptions_routes
from core.subscriptions.listing import SUBSCRIPTIONS
from core.texts import N_
from core.web import api_pages, help_pages, home, jobs_pages, plugin_pages, settings_api, settings_pages
from core.web.api_document import DocumentOfTenant
from core.web.assets import load_manifest
from core.web.csp import SecurityHeaders
from core.web.errors import error_handlers
from core.web.guards import (
    from_our_pages,
    in_turn,
    only_the_document,
    permitted,
    plugin_is_on,
    within_ids,
    within_limits,
)
from core.web.heads import WithoutBody
from core.web.jsonapi import provide_call
from core.web.menu import MenuEntry, entry_of
from core.web.pages import PageMaker
from core.web.proof import first_things_first, proved
from core.web.proof import handlers as proof_handlers
from core.web.routing import check_routes
from core.web.statics import static_route
from core.web.templating import Pages, feature_folders
from core.web.throttle import ONLY_LOG_IN, Limiter
from core.web.view import PageView
from core.web.visit import Identify, Person

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import ModuleType

    from litestar.types import ASGIApp

    from core.config import Limits
    from core.hooks import Plugin
    from core.lists.listing import Listing
    from core.web.sessions import SessionRow

CORE: Final = Path(core.__file__).parent

FEATURES: Final = (
    "activity",
    "jobs",
    "settings",
    "documents",
    "web",
    "lists",
    "staff",
    "customers",
    "catalog",
    "ledger",
    "messages",
    "subscriptions",
    "billing",
    "payments",
    "reports",
)
"""Bottom-up, as their migrations run: a table refers only to tables of features before it."""

MIGRATIONS: Final = tuple(
    MigrationApp(feature, CORE / feature / "migrations")
    for feature in FEATURES
    if (CORE / feature / "migrations").is_dir()
)

PAGES: Final = (
    home,
    help_pages,
    api_pages,
    dashboard,
    jobs_routes,
    jobs_pages,
    plugin_pages,
    settings_pages,
    lists_routes,
    log_in_routes,
    account_routes,
    staff_routes,
    token_routes,
    import_routes,
    status_routes,
    status_settings_routes,
    customers_routes,
    activity_routes,
    section_routes,
    row_routes,
    deletion_routes,
    password_routes,
    anonymise_routes,
    contact_routes,
    email_routes,
    hierarchy_routes,
    label_routes,
    lead_routes,
    note_routes,
    catalog_routes,
    policy_routes,
    ledger_routes,
    customer_rate_routes,
    subscriptions_routes,
    pause_routes,
    discount_routes,
    change_routes,
    period_routes,
    price_routes,
    billing_routes,
    draft_routes,
    billing_settings,
    billing_whys,
    dunning_routes,
    upcoming_routes,
    reissue_routes,
    layout_routes,
    proforma_routes,
    vat_routes,
    run_routes,
    parked_routes,
    payments_routes,
    hand_routes,
    online_routes,
    unclear_routes,
    credit_routes,
    deposit_routes,
    statement_routes,
    reports_routes,
    reports_figures,
    reports_datev,
    messages_routes,
    messages_whys,
)
APIS: Final = (
    lists_api,
    staff_api,
    account_api,
    customers_api,
    status_api,
    activity_api,
    anonymise_api,
    deletion_api,
    people_api,
    password_api,
    label_api,
    import_api,
    catalog_api,
    ledger_api,
    customer_rate_api,
    subscriptions_api,
    prepaid_api,
    pause_api,
    discount_api,
    change_api,
    period_api,
    price_api,
    billing_api,
    reissue_api,
    layout_api,
    billing_settings_api,
    dunning_api,
    billing_whys_api,
    vat_api,
    payments_api,
    online_api,
    hand_api,
    statement_api,
    deposit_api,
    reports_api,
    run_api,
    messages_api,
    messages_whys_api,
    words_api,
    jobs_api,
    search_api,
    settings_api,
)

PERMISSIONS: Final[tuple[Permission, ...]] = (
    Permission("activity.view", N_("See the activity")),
    *activity_routes.PERMISSIONS,
    *jobs_pages.PERMISSIONS,
    *settings_pages.PERMISSIONS,
    *lists_routes.PERMISSIONS,
    *staff_routes.PERMISSIONS,
    *customers_routes.PERMISSIONS,
    *password_routes.PERMISSIONS,
    *anonymise_routes.PERMISSIONS,
    *deletion_routes.PERMISSIONS,
    *messages_routes.PERMISSIONS,
    *catalog_routes.PERMISSIONS,
    *ledger_routes.PERMISSIONS,
    *subscriptions_routes.PERMISSIONS,
    *billing_routes.PERMISSIONS,
    *payments_routes.PERMISSIONS,
    *reports_routes.PERMISSIONS,
)

MENU: Final = (
    MenuEntry(area="", label=N_("Dashboard"), href="/", icon="layout-dashboard", permission="customers.view", key="d"),
    MenuEntry(area="", label=N_("Customers"), href="/customers", icon="users", permission="customers.view", key="c"),
    MenuEntry(
        area="billing", label=N_("Subscriptions"), href="/subscriptions", icon="repeat", permission="subscriptions.view"
    ),
    MenuEntry(
        area="billing",
        label=N_("Invoices"),
        href="/invoices",
        icon="file-invoice",
        permission="documents.view",
        key="i",
    ),
    MenuEntry(
        area="billing", label=N_("Payments"), href="/payments", icon="coins", permission="payments.view", key="p"
    ),
    MenuEntry(
        area="billing", label=N_("Billing runs"), href="/billing/runs", icon="player-play", permission="billing.view"
    ),
    MenuEntry(area="billing", label=N_("Ledger"), href="/ledger", icon="database", permission="ledger.view"),
    MenuEntry(area="billing", label=N_("Products"), href="/products", icon="packages", permission="catalog.view"),
    MenuEntry(area="work", label=N_("Messages"), href="/messages", icon="mail", permission="messages.view"),
    MenuEntry(area="work", label=N_("Jobs"), href="/jobs", icon="activity", permission="jobs.view"),
    MenuEntry(
        area="settings", label=N_("Settings"), href="/settings", icon="settings", permission="settings.view", key="s"
    ),
)

LISTS: Final[tuple[Listing[Any], ...]] = (
    customers_routes.CUSTOMER_LIST,
    ACTIVITY,
    SUBSCRIPTIONS,
    DOCUMENTS,
    RUNS,
    PARKED_ACCOUNTS,
    PREPAID_RENEWALS,
    PAYMENTS,
    PRODUCTS,
    BUNDLES,
    MESSAGES,
    WORK,
    IMPORTS,
    STAFF,
    TOKENS,
)
"""Every list of the core that has saved views, columns of one's own and exports."""

DEEDS: Final = (
    MenuEntry(
        area="", label=N_("New customer"), href="/customers/new", icon="user-plus", permission="customers.create"
    ),
    MenuEntry(
        area="", label=N_("Import customers"), href="/customers/import", icon="upload", permission="customers.create"
    ),
    MenuEntry(area="", label=N_("New product"), href="/products/new", icon="plus", permission="catalog.edit"),
    MenuEntry(
        area="", label=N_("New billing run"), href="/billing/runs/new", icon="player-play", permission="billing.run"
    ),
    MenuEntry(area="", label=N_("New status"), href="/settings/statuses/new", icon="plus", permission="settings.edit"),
    MenuEntry(
        area="", label=N_("Invite somebody"), href="/settings/staff/new", icon="user-plus", permission="staff.edit"
    ),
    MenuEntry(area="", label=N_("New role"), href="/settings/roles/new", icon="shield-lock", permission="staff.edit"),
    MenuEntry(area="", label=N_("New API token"), href="/settings/tokens/new", icon="lock", permission="staff.edit"),
)
"""What the search on top of every page offers to begin."""

SETTINGS_TABS: Final = (
    MenuEntry(area="", label=N_("Company"), href="/settings/company", icon="building", permission="settings.view"),
    MenuEntry(
        area="",
        label=N_("Statuses"),
        href="/settings/statuses",
        icon="adjustments-horizontal",
        permission="settings.view",
    ),
    MenuEntry(area="", label=N_("Tax"), href="/settings/tax", icon="receipt-refund", permission="catalog.view"),
    MenuEntry(area="", label=N_("Currencies"), href="/settings/currencies", icon="coins", permission="settings.view"),
    MenuEntry(area="", label=N_("Seller"), href="/settings/seller", icon="building", permission="settings.view"),
    MenuEntry(
        area="", label=N_("Documents"), href="/settings/documents", icon="file-invoice", permission="settings.view"
    ),
    MenuEntry(
        area="",
        label=N_("Numbering"),
        href="/settings/numbering",
        icon="adjustments-horizontal",
        permission="settings.view",
    ),
    MenuEntry(area="", label=N_("Billing"), href="/settings/billing", icon="coins", permission="settings.view"),
    MenuEntry(
        area="", label=N_("Dunning"), href="/settings/dunning", icon="alert-triangle", permission="settings.view"
    ),
    MenuEntry(area="", label=N_("DATEV"), href="/settings/datev", icon="database", permission="settings.view"),
    MenuEntry(area="", label=N_("Mail"), href="/settings/mail", icon="mail", permission="settings.view"),
    MenuEntry(area="", label=N_("Messages"), href="/settings/messages", icon="message", permission="settings.view"),
    MenuEntry(
        area="", label=N_("Customers"), href="/settings/customers", icon="user-circle", permission="settings.view"
    ),
    MenuEntry(area="", label=N_("Tags"), href="/settings/tags", icon="tag", permission="settings.view"),
    MenuEntry(area="", label=N_("Locations"), href="/settings/locations", icon="map-2", permission="settings.view"),
    MenuEntry(area="", label=N_("Plugins"), href="/settings/plugins", icon="plug", permission="settings.view"),
    MenuEntry(area="", label=N_("Staff"), href="/settings/staff", icon="users", permission="staff.view"),
    MenuEntry(area="", label=N_("Roles"), href="/settings/roles", icon="shield-lock", permission="staff.view"),
    MenuEntry(area="", label=N_("Log-in"), href="/settings/security", icon="shield-lock", permission="staff.view"),
    MenuEntry(area="", label=N_("API tokens"), href="/settings/tokens", icon="lock", permission="staff.view"),
    MenuEntry(area="", label=N_("Activity"), href="/settings/activity", icon="activity", permission="activity.all"),
)

JOBS: Final[tuple[JobKind[Any], ...]] = (
    *upkeep.JOBS,
    *lists_jobs.JOBS,
    *staff_jobs.JOBS,
    *customers_jobs.JOBS,
    *documents_jobs.JOBS,
    *messages_jobs.JOBS,
    *ledger_jobs.JOBS,
    *subscriptions_jobs.JOBS,
    *billing_jobs.JOBS,
    *reports_jobs.JOBS,
    *payments_batch.JOBS,
    *payments_jobs.JOBS,
)
"""Every kind of work of the core."""

MESSAGE_KINDS: Final = (*staff_mail.MESSAGE_KINDS, *customer_mail.MESSAGE_KINDS)
"""Kinds of messages of features that stand below the messages themselves."""

SCHEDULES: Final[tuple[Schedule, ...]] = (
    *upkeep.SCHEDULES,
    *lists_jobs.SCHEDULES,
    *customers_jobs.SCHEDULES,
    *documents_jobs.SCHEDULES,
    *messages_jobs.SCHEDULES,
    *ledger_jobs.SCHEDULES,
    *billing_jobs.SCHEDULES,
    *reports_jobs.SCHEDULES,
)
"""What the clock starts in every tenant."""

HOOK_MODULES: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("staff", staff_hooks),
    ("customers", customers_hooks),
    ("catalog", catalog_hooks),
    ("subscriptions", subscriptions_hooks),
    ("billing", billing_hooks),
    ("payments", payments_hooks),
    ("messages", messages_hooks),
    ("jobs", jobs_bulk),
)
"""What upper features put on the pages of lower ones: always on, asked before the plugins."""

RESERVED: Final = frozenset({*FEATURES, "hooks", "database", "api", "static", "login", "logout", "profile", "tenants"})
"""Names that no plugin may have."""


def migrations_of(plugins: Mapping[str, Plugin], enabled: Collection[str]) -> list[MigrationApp]:
    """The core's migrations, then those of the enabled plugins."""
    return [
        *MIGRATIONS,
        *(
            MigrationApp(name, plugin.manifest.migrations)
            for name, plugin in usable(plugins).items()
            if name in enabled and plugin.manifest.migrations is not None
        ),
    ]


def permissions_of(plugins: Mapping[str, Plugin]) -> tuple[Permission, ...]:
    """Everything that a role can be given, core's first."""
    return (
        *PERMISSIONS,
        *(permission for plugin in usable(plugins).values() for permission in plugin.manifest.permissions),
    )


async def find_staff(token: str, now: datetime) -> tuple[SessionRow, Person] | None:
    """The staff user of a cookie's session. One that is only for setting a second factor up leads nowhere else, and to
    nothing once there is one: whoever has one shows it instead."""
    found = await staff_queries.find_by_session(token, now)
    if found is None:
        return None
    session, known = found
    actor = staff_queries.actor_of(known)
    if session.actor_kind == staff_actions.FULL:
        return session, Person(actor, known, known.email, proves=second_factors.is_proof)
    if session.actor_kind == staff_actions.NEWCOMER and not known.has_second_factor:
        actor = replace(actor, permissions=frozenset[str]())
        return session, Person(actor, known, known.email, only=log_in_routes.SET_UP, proves=second_factors.is_proof)
    return None


class _Area(Router):
    """The routes of one area, made for one application. Litestar copies each router that it is given, with all that
    hangs on it, in case it is given to two: nobody else has this one."""

    def __deepcopy__(self, memo: object) -> _Area:
        return self


def by_area(handlers: Iterable[Any]) -> list[Router]:
    """A router for each first part of an address. Litestar goes over all the routes it has for each thing it is given:
    given a thousand handlers one by one, that was a third of the start."""
    areas: dict[str, list[Any]] = {}
    for handler in handlers:
        (path,) = handler.paths
        areas.setdefault(path.removeprefix("/api/v1").split("/")[1], []).append(handler)
    return [_Area("/", route_handlers=area) for area in areas.values()]


def create_app(
    plugins: Mapping[str, Plugin], *, console: Plugin | None = None, lifespan: Sequence[Any] = ()
) -> Litestar:
    """The application for all tenants. Raises at the start for a route without a permission, an unknown one, a missing
    asset, or templates that hide each other. `console` is what the host brings for the provider's tenant alone."""
    good = {**usable(plugins), **({console.name: console} if console is not None else {})}
    for name, plugin in good.items():
        brought_by(name, [kind.key for kind in plugin.manifest.messages])
    assets = load_manifest(plugins=_folders(good, "static"))
    pages = Pages(feature_folders(CORE), assets, plugins=_folders(good, "templates"))
    maker = PageMaker(
        pages,
        (*MENU, *(entry_of(item, name) for name, plugin in good.items() for item in plugin.manifest.menu)),
        SETTINGS_TABS,
        (*DEEDS, *(entry_of(item, name) for name, plugin in good.items() for item in plugin.manifest.deeds)),
    )

    def provide_view(request: Request[Any, Any, Any]) -> PageView:
        return PageView(request, maker.page, maker.menu, maker.places)

    app = Litestar(
        route_handlers=by_area(
            [
                static_route(assets),
                *(handler for module in PAGES for handler in module.HANDLERS),
                *(handler for module in APIS for handler in module.HANDLERS),
                *(handler for one in LISTS for handler in (*bulk_handlers(one), *bulk_operations(one))),
                *(_of_plugin(name, handler) for name, plugin in good.items() for handler in plugin.manifest.routes),
                *(
                    _of_plugin(name, handler)
                    for name, plugin in good.items()
                    for one in plugin.manifest.lists
                    for handler in (*bulk_handlers(one), *bulk_operations(one))
                ),
            ]
        ),
        dependencies={
            "view": Provide(provide_view, sync_to_thread=False),
            "call": Provide(provide_call, sync_to_thread=False),
        },
        guards=[
            in_turn(within_limits, plugin_is_on, first_things_first, permitted, from_our_pages, within_ids, proved)
        ],
        exception_handlers={**error_handlers(maker.error), **proof_handlers(maker.instead)},
        openapi_config=OpenAPIConfig(
            title="Tenantry",
            version="1",
            components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
            render_plugins=[DocumentOfTenant(good, path="/openapi.json")],
            openapi_router=Router("/api/v1", route_handlers=[], include_in_schema=False, guards=[only_the_document]),
        ),
        request_max_body_size=30_000_000,
        state=State(
            {
                "permissions": permissions_of(good),
                "plugins": plugins,
                "console": "" if console is None else console.name,
                "optional_apis": frozenset(good),
                "doors": {
                    name: plugin.manifest.door for name, plugin in good.items() if plugin.manifest.door is not None
                },
                STATE: lists_by_key(
                    [
                        *(("", one) for one in LISTS),
                        *((name, one) for name, plugin in good.items() for one in plugin.manifest.lists),
                    ]
                ),
            }
        ),
        lifespan=list(lifespan),
        debug=False,
        logging_config=None,
    )
    public = {one for plugin in good.values() for one in plugin.manifest.public}
    check_routes(app, {permission.key for permission in permissions_of(good)}, public)
    return app


def surrounded(app: Litestar, *, secure: bool = False, limits: Limits = ONLY_LOG_IN) -> ASGIApp:
    """The application with what holds for every answer, also where no route matches: security headers, and who asks."""
    return SecurityHeaders(
        Identify(
            WithoutBody(app),
            find_staff=find_staff,
            find_token=staff_queries.find_token_actor,
            note_token=staff_actions.note_token_use,
            limiter=Limiter(limits),
            doors=app.state.doors,
        ),
        secure=secure,
    )


def _folders(plugins: Mapping[str, Plugin], name: str) -> dict[str, Path]:
    """The folder of this name of each plugin that has one."""
    found = {plugin: one.folder / name for plugin, one in plugins.items()}
    return {plugin: folder for plugin, folder in found.items() if folder.is_dir()}


def _of_plugin(name: str, handler: Any) -> Any:
    """The plugin's route, which exists only where the plugin is on."""
    if isinstance(handler, HTTPRouteHandler):
        handler.opt["plugin"] = name
    return handler
