"""Days as WeChat counts them: from midnight to midnight in Beijing."""

from datetime import UTC, date, datetime, time, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))
AVAILABLE = time(10)
"""Bills are made from nine and can be had from ten on the day after."""
BELIEVED = time(12)
"""Before noon of the day after, "no such bill" may only mean "not yet"."""
REACH = timedelta(days=89)
"""WeChat gives no bills older than three months (the shortest three are 89 days)."""


def day_of(at: datetime) -> date:
    return at.astimezone(BEIJING).date()


def bounds(day: date) -> tuple[datetime, datetime]:
    """From when to (not included) when, in UTC."""
    start = datetime.combine(day, time(), BEIJING)
    return start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)


def available_at(day: date) -> datetime:
    """From when on the bill of `day` can be had."""
    return datetime.combine(day + timedelta(days=1), AVAILABLE, BEIJING).astimezone(UTC)


def believed_at(day: date) -> datetime:
    """From when on "no such bill" means that nothing happened."""
    return datetime.combine(day + timedelta(days=1), BELIEVED, BEIJING).astimezone(UTC)


def newest(now: datetime) -> date:
    """The newest day whose bills can be had."""
    yesterday = day_of(now) - timedelta(days=1)
    return yesterday if available_at(yesterday) <= now else yesterday - timedelta(days=1)


def oldest(now: datetime) -> date:
    """The oldest day whose bills can still be had."""
    return day_of(now) - REACH
