"""The command line: what each command takes, and which function does it. The only code that knows Typer.

Nothing heavy is imported here: each command reaches for what it needs when it runs, so `ragft --help` is quick, and
only once its experiment file has been read, so a fault in that is told at once.
"""

from ragft.cli.app import app
from ragft.cli.asking import rag_query
from ragft.cli.experiments import compare, finetune, index
from ragft.cli.exporting import export
from ragft.cli.files import init, schema, validate
from ragft.cli.runs import report, runs_app

# In the order in which --help lists them.
app.command()(compare)
app.command()(finetune)
app.command()(index)
app.command()(rag_query)
app.command()(report)
app.command()(export)
app.add_typer(runs_app)
app.command()(validate)
app.command()(schema)
app.command()(init)

__all__ = ["app"]
