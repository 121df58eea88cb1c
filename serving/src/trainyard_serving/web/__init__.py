"""HTTP: parsing, routing, status codes. What a prediction is, is not known here."""
