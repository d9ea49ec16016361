"""What administrators are told without looking: incidents, and one module for each channel by which notices of them go out."""
