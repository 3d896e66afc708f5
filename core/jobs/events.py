"""What persons did to jobs."""

from core.activity.events import Event


class JobCancelledByHand(Event, subject="job"):
    job_id: int
    customer_id: int | None = None


class JobStartedAgain(Event, subject="job"):
    job_id: int
    customer_id: int | None = None


class JobSettledByHand(Event, subject="job"):
    job_id: int
    customer_id: int | None = None


class JobsLetGo(Event, subject="job"):
    count: int
