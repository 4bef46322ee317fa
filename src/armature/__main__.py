"""`python -m armature`."""

from armature.cli.main import main

if __name__ == "__main__":
    main()
