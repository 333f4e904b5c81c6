import os

IS_TEST = "PYTEST_CURRENT_TEST" in os.environ
NAME = "app"
