"""Software as data: packing it."""
