"""Who may be champion, and what was decided: gate, release, registry, ledger."""
