"""What people look at: pictures, charts, tables, one HTML page."""
