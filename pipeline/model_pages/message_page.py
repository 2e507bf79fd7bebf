"""A page that says one thing: why there is nothing else to show."""

from components.public_text import public
from pipeline.model_pages import TEMPLATES
from pipeline.report.rendering import environment


def render(title: str, text: str, seconds: int = 0) -> str:
    """The page; a browser asks for it again after *seconds*, unless they are 0."""
    template = environment(TEMPLATES).get_template("message.html.j2")
    return str(public(template.render(title=title, text=text, seconds=seconds)))
