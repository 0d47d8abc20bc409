"""What runs the networks: one file per backend; `choose` finds the right one."""
