"""ModelVersion: published once, under the digest of its files."""
