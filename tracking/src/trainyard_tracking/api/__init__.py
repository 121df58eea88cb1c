"""The private routes, which the operator, the pods and the CLI use. HTTP only: no decisions.

Who may call what is in `auth/`; by the time a handler runs, that is settled.
"""
