"""Who may call which route. Every route has a rule here; one that has none is refused."""
