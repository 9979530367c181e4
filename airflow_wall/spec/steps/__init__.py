"""What each of our steps takes under `with`: one model per step, and the table of them."""
