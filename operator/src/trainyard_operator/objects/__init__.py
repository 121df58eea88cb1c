"""Pure builders of the children: one module per child object. They decide nothing."""
