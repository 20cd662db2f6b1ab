"""python -m attention_in_motion: the command line."""

from attention_in_motion.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m attention_in_motion")
