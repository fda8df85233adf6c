"""For people to look at: pictures, figures, tables, the HTML report."""
