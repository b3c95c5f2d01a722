"""What a folder holds: records, parts and seals, and the bound that judges trials."""
