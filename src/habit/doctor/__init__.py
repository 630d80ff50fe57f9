"""``habit doctor``: looks at everything that a question needs, and says what to do where something is wrong."""

from habit.doctor.examine import examine
from habit.doctor.findings import Finding

__all__ = ["Finding", "examine"]
