"""A page from its template, without the credentials that a name or a reason may hold."""

from pathlib import Path

from components.public_text import public
from pipeline.report.rendering import environment


def page(template: str, **variables: object) -> str:
    """The HTML of *template*, a file in the folder templates."""
    templates = environment(Path(__file__).parent / "templates")
    return str(public(templates.get_template(template).render(variables)))
