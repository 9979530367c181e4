"""Child processes: end them with their parent, identify them beyond their pid, and limit their time and memory."""
