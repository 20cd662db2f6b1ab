"""What a page's head says: a description, a preview for those who share it, no needless script.

The theme loads sphinx-thebe on every page, twice, though no page uses it; and it names no colour
scheme, which its own script then calls invalid.
"""

from html import escape

from docutils import nodes

LONGEST = 300  # characters of a description
PICTURE = "_static/front.png"


def describe(app, pagename, templatename, context, doctree) -> None:
    """Add description and Open Graph tags; they name addresses once html.baseurl is set."""
    context["default_mode"] = "auto"
    for kind in ("script_files", "css_files"):
        context[kind] = [one for one in context.get(kind, []) if "thebe" not in said(one)]
    if doctree is None:
        return
    text = escape(first_paragraph(doctree), quote=True)
    title = escape(nodes.Text(context["title"]).astext(), quote=True)
    tags = {"og:title": title, "og:description": text, "og:type": "article"}
    if address := context.get("pageurl"):
        tags |= {"og:url": address, "og:image": app.config.html_baseurl + PICTURE}
    lines = [f'<meta name="description" content="{text}" />']
    lines += [f'<meta property="{name}" content="{value}" />' for name, value in tags.items()]
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def said(asset) -> str:
    """The file name and the body of a script or a style sheet, in lower case."""
    attributes = getattr(asset, "attributes", {})
    return f"{getattr(asset, 'filename', asset)} {attributes.get('body', '')}".lower()


def first_paragraph(doctree) -> str:
    """The first paragraph that is more than a line of links, cut at a word."""
    texts = [" ".join(node.astext().split()) for node in doctree.findall(nodes.paragraph)]
    text = next((one for one in texts if len(one) >= 100), " ".join(texts))
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def setup(app) -> dict:
    app.connect("html-page-context", describe, priority=900)
    return {"parallel_read_safe": True}
