"""The database: one seam, two databases, one table file per resource. All SQL lives here."""
