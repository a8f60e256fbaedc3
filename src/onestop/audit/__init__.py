"""The audit: who did what, and whose data was read why. Rows are only added; it decides nothing."""
