"""What crosses HTTP: one file per resource. These types are the domain; nothing else models it."""
