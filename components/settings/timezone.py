"""Names of time zones, as in the IANA database that comes with the system or with the package tzdata."""

from components.formatting import did_you_mean

UTC = "UTC"


def check(name: str) -> None:
    """Raise ValueError where there is no time zone *name*."""
    if name == UTC:  # also where no database is installed
        return
    from zoneinfo import ZoneInfo, available_timezones  # which no run needs that Airflow does not start

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no legal name; a folder of the database
        hint = did_you_mean(name, available_timezones()) or "such as Europe/Berlin or America/New_York"
        raise ValueError(f"expected the name of a time zone ({hint})") from None
