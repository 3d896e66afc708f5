"""What happened in the portal, on the customer's timeline."""

from core.activity.events import Event


class PortalLoggedIn(Event, subject="customer", text="Logged in to the portal"):
    customer_id: int


class PortalUserLoggedIn(Event, subject="contact", text="A user logged in to the portal"):
    contact_id: int
    customer_id: int


class PortalPasswordSet(Event, subject="contact", text="A user’s password for the portal set"):
    contact_id: int
    customer_id: int


class PortalVisitBegun(Event, subject="portal_visit", text="Logged in to the portal as the customer"):
    portal_visit_id: int
    customer_id: int


class PortalVisitEnded(Event, subject="portal_visit", text="Left the customer’s portal"):
    portal_visit_id: int
    customer_id: int
