"""``python -m packhook`` is ``packhook``."""

from packhook.cli.main import app

if __name__ == "__main__":
    app()
