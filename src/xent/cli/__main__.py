"""``python -m xent.cli`` is `xent`."""

from xent.cli._main import main

main()
