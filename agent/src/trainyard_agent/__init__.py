"""The agent: fetches code and models into pods, and publishes models, with a token only.

It runs in init containers and publishing Jobs, from an image of its own, on nothing but the
standard library and PyYAML. It never imports or unpickles what it carries.
"""
