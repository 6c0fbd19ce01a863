"""Speed and memory of a DPO step, side by side with TRL: `make bench`, `make bench QUICK=1`."""
