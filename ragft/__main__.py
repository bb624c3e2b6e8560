"""Run ragft as `python -m ragft`."""

from ragft.cli import app

if __name__ == "__main__":
    app()
