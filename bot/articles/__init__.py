"""The article model, and splitting articles into passages."""
