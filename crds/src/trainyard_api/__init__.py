"""The API of Trainyard: types of its resources, and the constants that its parts agree on.

Import from the modules: this package stays empty, so that `trainyard_api.contract` can be
imported where nothing but the standard library is installed.
"""
