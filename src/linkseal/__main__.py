"""Run the command as ``python -m linkseal``."""

from linkseal.cli import main

if __name__ == "__main__":
    main()
