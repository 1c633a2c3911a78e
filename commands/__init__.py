"""The commands of `hegui` beside `check`: one module a family, loaded when one of its commands is asked for."""
