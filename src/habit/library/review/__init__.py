"""The review of a candidate: one page, as text and as HTML, and when a candidate may do without a person."""
