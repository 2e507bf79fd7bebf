"""A page that says one thing: why there is nothing else to show."""

from pipeline.model_pages.rendering import page


def render(title: str, text: str, seconds: int = 0) -> str:
    """The page; a browser asks for it again after *seconds*, unless they are 0."""
    return page("message.html.j2", title=title, text=text, seconds=seconds)
