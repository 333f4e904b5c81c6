"""Test runners: how each is called and its report read; `table` names them."""
