"""{claim}`P2.15` links to the claim's row in the table of claims."""

from docutils import nodes
from sphinx.addnodes import pending_xref

TABLE = "claims"


def claim(name, rawtext, text, lineno, inliner, options=None, content=None):
    page = inliner.document.settings.env.docname
    reference = pending_xref(reftype="claim", refdoc=page, reftarget=text)
    reference += nodes.literal(text, text, classes=["claim"])
    return [reference], []


def link(app, env, node, child):
    if node["reftype"] != "claim":
        return None
    page = app.builder.get_relative_uri(node["refdoc"], TABLE)
    anchor = "claim-" + node["reftarget"].lower().replace(".", "-")
    return nodes.reference("", "", child, internal=True, refuri=f"{page}#{anchor}")


def setup(app) -> dict:
    app.add_role("claim", claim)
    app.connect("missing-reference", link)
    return {"parallel_read_safe": True}
