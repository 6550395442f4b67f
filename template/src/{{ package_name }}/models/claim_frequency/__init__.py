"""How many outpatient visits an insured person will claim in a year."""
