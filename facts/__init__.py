"""Getting facts in: files as officers submit them → typed rows and cases, and every problem found on the way.

Nothing here knows a particular policy: the fields, their units and spellings come from a rule pack.
"""

from facts.problems import WORDINGS as WORDINGS  # whichever module reports a problem, its wording is there
