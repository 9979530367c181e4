"""Models: what a training function returns, how it becomes a file, which version is the champion."""
