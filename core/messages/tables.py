"""Rows of messages. Keys, indexes and checks stand in the migrations."""

from piccolo.columns import BigInt, BigSerial, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.customers.tables import Customer
from core.database import SHARED, via
from core.documents.tables import StoredFile


class Message(Table):
    """One message: to whom, of which kind, filled with what; its words as they were sent; what the server said.

    How far it is stands in its job alone, see `queries.STATE`.
    """

    belongs = via("customer_id")

    id = BigSerial(primary_key=True)
    kind = Text()
    customer_id = ForeignKey(Customer, null=True, index=True)
    language = Text()
    recipients = Text()
    copies = Text()
    fields = Text()
    subject = Text()
    body = Text()
    message_id = Text(unique=True)
    dedupe_key = Text(null=True, unique=True)
    job_id = BigInt(null=True, index=True)
    answer = Text()
    refused = Text()
    sent_by = Text()
    actor = Text()
    created_at = Timestamptz()
    sent_at = Timestamptz(null=True)


class MessageFile(Table):
    """A file that goes with a message."""

    belongs = via("message_id")

    message_id = ForeignKey(Message, on_delete=OnDelete.cascade, index=True)
    position = Integer()
    file_id = ForeignKey(StoredFile, index=True)


class MessageTemplate(Table):
    """The tenant's own words for a kind of message in one language; where there is none, the product's stand."""

    belongs = SHARED

    kind = Text()
    language = Text()
    subject = Text()
    body = Text()
    changed_at = Timestamptz()
    version = BigInt()
