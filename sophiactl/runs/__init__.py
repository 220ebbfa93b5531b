"""The ledger of runs: what was decided, which model answered, and what it cost."""
