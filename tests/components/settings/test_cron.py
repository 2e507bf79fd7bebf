"""Cron expressions: which are taken, and what is said of the others."""

import pytest

from components.settings import cron


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "",
            "@weekly",
            "@quarterly",
            "@annually",
            "0 3 * * 1",
            "*/5 * * * *",
            "0 0 29 2 *",
            "0 0 L * *",
            "0 0 * * L5",
        ),
        *("0 0 * * mon#2", "0 0 * * 7", "0 3 * MAR THU", " 0\t3 * * 1 ", "0 3 ? * 1", "0 0 30 2 1", "0 0 29 2 1"),
    ],
)
def test_what_comes_is_taken(expression: str) -> None:
    """Names, presets, the last day, the 29th of February, and a 30th of February that is every Monday too."""
    cron.check(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 30 2 *", "this day never comes"),
        ("0 0 31 4 *", "this day never comes"),
        ("0 0 31 2,4,6 *", "this day never comes"),
        ("0 0 3 * * *", "this has 6, and seconds and years are not supported"),
        ("0 3 * * 1 *", "this has 6, and seconds and years are not supported"),
        ("0 0 * * * * *", "this has 7, and seconds and years are not supported"),
        ("0 3 *", "this has 3"),
        ("R R * * *", "R and H mean another time on every machine"),
        ("0 1,r(2-5) * * *", "R and H mean another time on every machine"),
        ("H/5 * * * *", "R and H mean another time on every machine"),
        ("0 24 * * *", "this is no cron expression"),
        ("@once", "this is no cron expression"),
        ("*/0 * * * *", "this is no cron expression"),
    ],
)
def test_what_never_comes_or_nobody_chose_is_refused(expression: str, reason: str) -> None:
    """Airflow would take most of them: and never run, run sixty times in a minute, or at a time drawn at random."""
    with pytest.raises(ValueError, match=r"^expected five fields such as '0 3 \* \* 1'") as raised:
        cron.check(expression)
    assert str(raised.value).endswith(f"({reason})")
