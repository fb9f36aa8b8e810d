"""The commands of `xent`."""

from cyclopts import App

import xent
from xent.cli import calibrate as calibrate_command
from xent.cli import evaluate as evaluate_command
from xent.cli._terminal import PipeConsole
from xent.cli.fit import HELP, fit

app = App(
    name="xent",
    version=f"xent {xent.__version__}",
    help="Cross-entropy: learn by it, and see what it says.",
    help_format="plaintext",
    console=PipeConsole(),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(fit, name="fit", help=HELP, usage="Usage: xent fit [TABLE --target COLUMN] [OPTIONS]")
app.command(
    evaluate_command.evaluate,
    name="evaluate",
    help=evaluate_command.HELP,
    usage="Usage: xent evaluate PREDICTIONS... [OPTIONS]",
)
app.command(
    calibrate_command.calibrate,
    name="calibrate",
    help=calibrate_command.HELP,
    usage="Usage: xent calibrate PREDICTIONS... --out PATH [--target COLUMN | --apply CALIBRATOR] [OPTIONS]",
)
