"""What breaks in a run, in virtual time: one seed is one cluster, its work, and its faults."""
