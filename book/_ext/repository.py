"""Buttons that need the repository's address: shown when `repository: url` is set, else hidden."""

NEEDED = ("use_repository_button", "use_issues_button", "use_source_button")
LAUNCH = {
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
    "notebook_interface": "jupyterlab",
}


def buttons(app, config) -> None:
    """Set the theme's options from the one setting."""
    options = config.html_theme_options
    address = options.get("repository_url") or ""
    options |= dict.fromkeys(NEEDED, bool(address))
    options["launch_buttons"] = LAUNCH if address else {}


def setup(app) -> dict:
    app.connect("config-inited", buttons)
    return {"parallel_read_safe": True}
