"""Time that does not pass by itself: a driver of the true cores, of equal rank with the live loops."""
