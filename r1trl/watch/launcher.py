"""`accelerate launch`, which SIGUSR1 to all processes of a job does not kill: it is for the driver.

Torch's launcher handles the other signals that mean to leave: it passes them on.
"""

import signal


def main() -> None:
    """Run accelerate's command with the arguments of this program."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    from accelerate.commands.launch import main as launch

    launch()


if __name__ == "__main__":
    main()
