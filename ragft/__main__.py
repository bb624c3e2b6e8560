"""Run ragft as `python -m ragft`, alone or as one of several processes that torchrun or accelerate started."""

import os


def main() -> None:
    """Run the command line; in a process that a launcher started beside the main one, help with its trainings."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        from ragft.cli import app

        app()
        return
    launcher = os.getppid()  # before imports of seconds, in which it may be killed already
    from ragft.console import quiet_libraries

    quiet_libraries()  # before the first import of a library that opens progress bars
    from ragft.training.distributed import dismiss, end_with, help_along, is_helper

    end_with(launcher)
    if is_helper():
        from ragft.training.running import help_with

        help_along(help_with)
        return
    from ragft.cli import app

    try:
        app()
    finally:
        dismiss()


if __name__ == "__main__":
    main()
