"""The `distilbert` command, also `python -m distilbert_cli`; Ctrl-C ends it quietly while it is being loaded."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Load the command line, and run it."""
    try:
        from distilbert_cli.main import main as run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
